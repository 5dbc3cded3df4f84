//! A target over a bare socket that keeps the index of every event, with nothing of the driver's code.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub struct Target {
    address: SocketAddr,
    came: Arc<Mutex<Vec<u64>>>,
}

impl Target {
    /// Its threads end with the test program.
    pub fn start() -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let came = Arc::new(Mutex::new(Vec::new()));
        let kept = came.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Target { address, came }
    }

    pub fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// The indices of all events that came, in the order in which they came.
    pub fn came(&self) -> Vec<u64> {
        self.came.lock().unwrap().clone()
    }
}

/// Answers until the peer closes.
fn serve(mut stream: TcpStream, came: &Mutex<Vec<u64>>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut event = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut event).ok()?;
        let event: serde_json::Value = serde_json::from_slice(&event).ok()?;
        let id = event["id"].as_str()?;
        came.lock().unwrap().push(u64::from_str_radix(id, 16).ok()?);
        let answer = format!("{{\"id\":\"{id}\"}}");
        let message = [&(answer.len() as u32).to_be_bytes()[..], answer.as_bytes()].concat();
        stream.write_all(&message).ok()?;
    }
}
