//! placeholder
use crate::error::Result;
use std::time::Duration;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    Order,
    Id,
}
pub struct BuiltinOptions {
    pub threads: usize,
    pub delay: Option<Duration>,
    pub work: Option<Duration>,
}
#[derive(Debug, Clone)]
pub struct Manifest {
    pub command: Option<Vec<String>>,
    pub url: String,
    pub matching: Matching,
}
impl Manifest {
    pub fn builtin(t: &str, o: &BuiltinOptions) -> Result<Manifest> {
        let exe = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
        let mut c = vec![
            exe,
            "serve".into(),
            t.into(),
            "--listen".into(),
            "127.0.0.1:{port}".into(),
            "--threads".into(),
            o.threads.to_string(),
        ];
        if let Some(d) = o.delay {
            c.push("--delay".into());
            c.push(format!("{}ns", d.as_nanos()));
        }
        if let Some(d) = o.work {
            c.push("--work".into());
            c.push(format!("{}ns", d.as_nanos()));
        }
        let url = match t {
            "webhook" => "http://127.0.0.1:{port}/webhook",
            "websocket" => "ws://127.0.0.1:{port}/",
            _ => "tcp://127.0.0.1:{port}",
        }
        .to_owned();
        Ok(Manifest { command: Some(c), url, matching: Matching::Id })
    }
}
pub fn find(_t: &str, _n: &str, _a: &[String]) -> Result<Manifest> {
    Err(crate::error::Error::usage("no"))
}
pub fn names() -> Vec<(String, Vec<String>)> {
    vec![]
}
