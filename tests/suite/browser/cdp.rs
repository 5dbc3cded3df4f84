//! Enough of the DevTools protocol to drive one page of a headless Chromium.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// What browsers of this family are called.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// The browser of this machine, if there is one.
pub fn browser() -> Option<PathBuf> {
    let works = |name: &&str| {
        Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success())
    };
    NAMES.into_iter().find(works).map(PathBuf::from)
}

/// A page in a browser of its own; both end with it.
pub struct Page {
    runtime: Runtime,
    socket: WebSocketStream<TcpStream>,
    browser: Child,
    _profile: tempfile::TempDir,
    session: String,
    next: u64,
    /// Every event of the page so far.
    pub events: Vec<Value>,
}

impl Page {
    /// Starts a browser that can reach nothing but files.
    pub fn start() -> Page {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(browser().expect("looked for before"));
        command
            .args(["--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run"])
            // Runs as root in containers; the pages are our own.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"])
            .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut browser = command.spawn().unwrap();
        let mut lines = BufReader::new(browser.stderr.take().unwrap()).lines();
        let mut printed = String::new();
        let url = loop {
            let line =
                lines.next().unwrap_or_else(|| panic!("the browser ended: {printed}")).unwrap();
            if let Some(url) = line.strip_prefix("DevTools listening on ") {
                break url.to_owned();
            }
            printed = printed + &line + "\n";
        };
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = runtime.block_on(async {
            let address = url.strip_prefix("ws://").unwrap().split('/').next().unwrap();
            let stream = TcpStream::connect(address).await.unwrap();
            tokio_tungstenite::client_async(url.as_str(), stream).await.unwrap().0
        });
        let mut page = Page {
            runtime,
            socket,
            browser,
            _profile: profile,
            session: String::new(),
            next: 0,
            events: vec![],
        };
        let target = page.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = page.call("Target.attachToTarget", attach);
        page.session = session["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page
    }

    /// Calls a method and waits for its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        self.runtime.block_on(self.socket.send(Message::text(message.to_string()))).unwrap();
        loop {
            let message = self.receive();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn receive(&mut self) -> Value {
        let message = self.runtime.block_on(self.socket.next()).expect("the browser ended");
        let value: Value = serde_json::from_str(message.unwrap().to_text().unwrap()).unwrap();
        if value["method"].is_string() {
            self.events.push(value.clone());
        }
        value
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, file: &Path) {
        self.events.clear();
        self.call("Page.navigate", json!({"url": format!("file://{}", file.display())}));
        while !self.events.iter().any(|e| e["method"] == "Page.loadEventFired") {
            self.receive();
        }
    }

    /// The value of an expression; a promise is waited for.
    pub fn eval(&mut self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", parameters);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Width and height of the window, in CSS pixels.
    pub fn resize(&mut self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// `screen` or `print`, and the colours that the reader prefers.
    pub fn media(&mut self, media: &str, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"media": media, "features": features}));
    }

    /// Moves the pointer.
    pub fn point(&mut self, x: f64, y: f64) {
        let event = json!({"type": "mouseMoved", "x": x, "y": y});
        self.call("Input.dispatchMouseEvent", event);
    }

    /// What the page has said on the console, exceptions included.
    pub fn printed(&self) -> Vec<&Value> {
        let says = ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"];
        self.events.iter().filter(|e| says.iter().any(|method| e["method"] == *method)).collect()
    }

    /// The addresses that were asked for since the page was opened.
    pub fn requests(&self) -> Vec<&str> {
        let sent = self.events.iter().filter(|e| e["method"] == "Network.requestWillBeSent");
        sent.filter_map(|e| e["params"]["request"]["url"].as_str()).collect()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // Its own children end with it.
        let _gone_already = self.browser.kill();
        let _status = self.browser.wait();
    }
}
