//! Starts the shards of a run by an engine that exists: Slurm's `srun`, or SSH.

use crate::cluster::ticket::{Ticket, VARIABLE};
use pushbench_core::error::{Error, Result};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

/// How shards are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// A task on each of so many nodes, by `srun`.
    Slurm,
    /// A program on each of these hosts, by `ssh`.
    Ssh(Vec<String>),
}

/// What `ssh` is called, and its options.
pub const SSH: &str = "ssh";

/// What every shard is started with.
pub struct Start<'a> {
    /// Where the coordinator listens.
    pub coordinator: SocketAddr,
    /// What a shard has to know; it travels by the environment or by standard input.
    pub ticket: Ticket,
    /// Shards in all.
    pub size: usize,
    /// Hosts beside loopback to which events may go.
    pub allow_hosts: &'a [String],
    /// The program on the other machines.
    pub program: PathBuf,
    /// What connects to them, with its options.
    pub ssh: Vec<String>,
}

/// The processes that started the shards. Dropping them ends them, and with them the shards.
pub struct Started {
    children: Vec<(String, Child, Option<ChildStdin>)>,
}

impl Engine {
    /// Reads the value of `--on`.
    pub fn parse(text: &str) -> std::result::Result<Engine, String> {
        let hosts = |list: &str| -> Vec<String> {
            list.split(',').map(str::trim).filter(|h| !h.is_empty()).map(str::to_owned).collect()
        };
        match text.split_once(':') {
            None if text == "slurm" => Ok(Engine::Slurm),
            Some(("ssh", list)) if hosts(list).len() > 1 => Ok(Engine::Ssh(hosts(list))),
            Some(("ssh", _)) => {
                Err("name two hosts or more: the last one has the targets, as in ssh:a,b,c"
                    .to_owned())
            }
            _ => Err("write slurm, or ssh:HOST,HOST".to_owned()),
        }
    }

    /// Starts a shard on each machine; the last one has the targets.
    pub fn start(&self, start: &Start<'_>) -> Result<Started> {
        let mut shard =
            vec!["shard".to_owned(), "--coordinator".to_owned(), start.coordinator.to_string()];
        shard.extend(
            start.allow_hosts.iter().flat_map(|host| ["--allow-host".to_owned(), host.clone()]),
        );
        let program = start.program.to_string_lossy().into_owned();
        let mut started = Started { children: Vec::new() };
        match self {
            Engine::Slurm => {
                let mut srun = Command::new("srun");
                srun.args(["--kill-on-bad-exit=1", "--ntasks-per-node=1", "--quiet"])
                    .arg(format!("--ntasks={}", start.size))
                    .arg(format!("--nodes={}", start.size))
                    .arg(&program)
                    .args(&shard)
                    .env(VARIABLE, start.ticket.text())
                    .stdin(Stdio::null());
                started.add("srun", srun)?;
            }
            Engine::Ssh(hosts) => {
                for (rank, host) in hosts.iter().enumerate() {
                    let mut words = vec![program.clone()];
                    words.extend(shard.iter().cloned());
                    words.extend(["--rank".to_owned(), rank.to_string()]);
                    words.extend(["--size".to_owned(), start.size.to_string()]);
                    words.extend(["--ticket".to_owned(), "-".to_owned()]);
                    let (client, options) =
                        start.ssh.split_first().map_or((SSH, &[][..]), |(c, o)| (c, o));
                    let mut ssh = Command::new(client);
                    // The remote shell splits what it gets.
                    ssh.args(options).args([
                        "-o",
                        "BatchMode=yes",
                        "--",
                        host,
                        &shell_words::join(words),
                    ]);
                    ssh.stdin(Stdio::piped());
                    started.add(&format!("ssh {host}"), ssh)?;
                    if let Some((_, _, Some(stdin))) = started.children.last_mut() {
                        let sent =
                            writeln!(stdin, "{}", start.ticket.text()).and_then(|()| stdin.flush());
                        sent.map_err(|e| {
                            Error::harness(format!("ssh {host}: cannot send the ticket: {e}"))
                        })?;
                    }
                }
            }
        }
        Ok(started)
    }
}

impl Started {
    fn add(&mut self, name: &str, mut command: Command) -> Result<()> {
        command.stdout(Stdio::null()).stderr(Stdio::inherit());
        let child = command.spawn().map_err(|e| {
            let package = if name == "srun" { "slurm-client" } else { "openssh-client" };
            Error::usage(format!(
                "cannot start {name}: {e}; install it (Debian, Ubuntu: apt install {package})"
            ))
        })?;
        let mut child = child;
        let stdin = child.stdin.take();
        self.children.push((name.to_owned(), child, stdin));
        Ok(())
    }

    /// An error where one has ended: its shards cannot come any more.
    pub fn check(&mut self) -> Result<()> {
        for (name, child, _) in &mut self.children {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(Error::harness(format!(
                    "{name} has ended ({status}) before the run began; see what it printed above"
                )));
            }
        }
        Ok(())
    }
}

impl Drop for Started {
    /// Shards have been told to end, or notice that the coordinator is gone; what still runs after a while is ended.
    fn drop(&mut self) {
        for (_, child, stdin) in &mut self.children {
            drop(stdin.take());
            let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
            while matches!(child.try_wait(), Ok(None)) && std::time::Instant::now() < until {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            if let (Ok(None), Some(pid)) =
                (child.try_wait(), rustix::process::Pid::from_raw(child.id() as i32))
            {
                // srun ends its tasks when it is interrupted twice within a second.
                for _ in 0..2 {
                    let _already_gone =
                        rustix::process::kill_process(pid, rustix::process::Signal::INT);
                    std::thread::sleep(std::time::Duration::from_millis(200));
                }
                let _already_gone =
                    rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            let _status = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_read() {
        assert_eq!(Engine::parse("slurm"), Ok(Engine::Slurm));
        let two = Engine::Ssh(vec!["a".to_owned(), "user@b".to_owned()]);
        assert_eq!(Engine::parse("ssh:a, user@b"), Ok(two));
        for wrong in ["ssh:", "ssh:a", "ssh", "kubernetes", "slurm:3"] {
            assert!(Engine::parse(wrong).is_err(), "{wrong}");
        }
    }
}
