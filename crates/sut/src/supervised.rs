//! The client of a [`supervisor`](crate::supervisor): starts a command under one and reads its status.

use crate::output::Output;
use crate::program;
use crate::supervisor::{CGROUP, ENDED, FAILED, NO_CGROUP, SUBCOMMAND};
use crate::tree::descendants;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// A supervisor takes less than this to end its tree; after it, it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);
/// After the target's end its last output may still be on its way.
const FINAL_OUTPUT_WAIT: Duration = Duration::from_millis(300);

/// A command and how it is to run.
pub(super) struct CommandSpec<'a> {
    pub words: &'a [String],
    pub cpus: &'a [usize],
    pub folder: Option<&'a Path>,
    pub env: &'a [(String, String)],
    /// It gets a memory cgroup of its own, where the machine allows.
    pub(crate) wants_cgroup: bool,
    /// Text in its output to look out for.
    pub wanted: Option<&'a str>,
}

/// A running command. Dropping it ends its process tree.
pub(super) struct Supervised {
    supervisor: Child,
    /// Closing it makes the supervisor end the process tree.
    stdin: Option<ChildStdin>,
    status_output: Output,
    output: Output,
}

impl Supervised {
    pub fn start(command_spec: &CommandSpec<'_>) -> io::Result<Supervised> {
        let (status_output, status_end) = io::pipe()?;
        let (output, output_end) = io::pipe()?;
        let cpus: Vec<String> = command_spec.cpus.iter().map(usize::to_string).collect();
        let mut command = Command::new(program());
        command.arg0("pushbench").arg(SUBCOMMAND).arg(OsStr::new(&cpus.join(",")));
        command
            .arg(if command_spec.wants_cgroup { CGROUP } else { NO_CGROUP })
            .args(command_spec.words);
        command.envs(command_spec.env.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = command_spec.folder {
            command.current_dir(folder);
        }
        // A group of its own: Ctrl-C on the terminal is ours to pass on.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(status_end).stderr(output_end);
        let mut supervisor = command.spawn()?;
        drop(command); // it holds the writing ends
        let stdin = supervisor.stdin.take();
        let status_output = Output::follow(status_output, None)?;
        Ok(Supervised {
            supervisor,
            stdin,
            status_output,
            output: Output::follow(output, command_spec.wanted)?,
        })
    }

    /// The processes of the tree, the supervisor excluded.
    pub fn pids(&self) -> Vec<u32> {
        descendants(self.supervisor.id())
    }

    /// How it ended, if it did: `exited with code 1`; or why it could not be executed.
    pub fn ended(&mut self) -> Option<Result<String, String>> {
        let find_end = |status_output: &Output| {
            status_output.tail().lines().find_map(|line| match line.strip_prefix(FAILED) {
                Some(why) => Some(Err(why.to_owned())),
                None => line.strip_prefix(ENDED).map(|how| Ok(how.to_owned())),
            })
        };
        if let Some(end) = find_end(&self.status_output) {
            return Some(end);
        }
        let status = self.supervisor.try_wait().ok()??;
        self.status_output.wait_for_end(FINAL_OUTPUT_WAIT);
        find_end(&self.status_output)
            .or_else(|| Some(Ok(format!("lost its supervisor ({status})"))))
    }

    /// The directory of its memory cgroup, or why there is none.
    pub fn memory_cgroup(&self) -> Result<PathBuf, String> {
        let status_output = self.status_output.tail();
        let word = |wanted: &str| {
            status_output
                .lines()
                .find_map(|l| l.strip_prefix(wanted)?.strip_prefix(' '))
                .map(str::to_owned)
        };
        match (word(CGROUP), word(NO_CGROUP)) {
            (Some(dir), _) => Ok(dir.into()),
            (None, Some(why)) => Err(why),
            (None, None) => Err("it was started without a memory cgroup".to_owned()),
        }
    }

    pub fn output(&self) -> &Output {
        &self.output
    }

    /// The last lines it printed, when it has ended all of them.
    pub(crate) fn final_output(&self) -> String {
        self.output.wait_for_end(FINAL_OUTPUT_WAIT);
        self.output.tail()
    }

    fn end(&mut self) {
        drop(self.stdin.take());
        let started = Instant::now();
        while let Ok(None) = self.supervisor.try_wait() {
            if started.elapsed() > STOP_TIMEOUT {
                let _already_gone = self.supervisor.kill();
                let _it_was_ours = self.supervisor.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.end();
    }
}
