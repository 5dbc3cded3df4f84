//! placeholder
use super::manifest::Manifest;
use crate::error::Result;
use std::io::BufRead;
use std::sync::atomic::AtomicBool;
pub struct Running {
    child: std::process::Child,
    url: String,
    line: String,
    port: u16,
}
pub struct Launch<'a> {
    pub manifest: &'a Manifest,
    pub cpus: &'a [usize],
    pub interrupt: &'a AtomicBool,
}
pub fn start_all(l: &[Launch]) -> Result<Vec<Running>> {
    Ok(l.iter()
        .map(|l| {
            let port =
                std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let f = |s: &String| s.replace("{port}", &port.to_string());
            let c: Vec<String> = l.manifest.command.as_ref().unwrap().iter().map(f).collect();
            let mut child = std::process::Command::new("taskset")
                .arg("-c")
                .arg(l.cpus[0].to_string())
                .args(&c)
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            Running { child, url: f(&l.manifest.url), line, port }
        })
        .collect())
}
impl Running {
    pub fn url(&self) -> &str {
        &self.url
    }
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
    pub fn pids(&self) -> Vec<u32> {
        vec![self.child.id()]
    }
    pub fn is_ours(&self) -> bool {
        true
    }
    pub fn exited(&mut self) -> Option<String> {
        self.child.try_wait().unwrap().map(|s| s.to_string())
    }
    pub fn output_tail(&self) -> String {
        self.line.clone()
    }
    pub fn freeze(&self) -> std::io::Result<()> {
        std::process::Command::new("kill")
            .args(["-STOP", &self.child.id().to_string()])
            .status()
            .map(drop)
    }
    pub fn thaw(&self) -> std::io::Result<()> {
        std::process::Command::new("kill")
            .args(["-CONT", &self.child.id().to_string()])
            .status()
            .map(drop)
    }
    pub fn stop(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
