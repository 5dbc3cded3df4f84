//! What `pushbench init` proposes for the program that stands in a directory. Files are read, nothing is
//! executed.

use pushbench_host::input;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// What starts a program, and where that is written.
pub struct Proposal {
    /// `package.json: scripts.start`
    pub source: String,
    /// Packages that say what it serves.
    pub packages: Vec<&'static str>,
    /// Its arms.
    pub transports: Vec<&'static str>,
    command: Vec<String>,
    /// The variable by which it gets its port, where the command has none.
    port_variable: Option<&'static str>,
    setup: Option<&'static str>,
    socket_io: bool,
}

/// What packages of an ecosystem serve.
struct Known {
    http: &'static [&'static str],
    websocket: &'static [&'static str],
}

const NODE: Known = Known {
    http: &["express", "fastify", "koa", "hono", "@hapi/hapi", "@nestjs/core", "restify"],
    websocket: &["ws", "@fastify/websocket", "express-ws", "uWebSockets.js"],
};
const PYTHON: Known = Known {
    http: &["flask", "fastapi", "starlette", "django", "quart", "sanic", "aiohttp", "tornado"],
    websocket: &["websockets", "fastapi", "starlette", "quart", "sanic", "aiohttp", "channels"],
};
const RUST: Known = Known {
    http: &["axum", "actix-web", "warp", "rocket", "poem", "hyper"],
    websocket: &["tokio-tungstenite", "tungstenite", "axum", "warp", "actix-ws", "fastwebsockets"],
};
const GO: Known = Known {
    http: &["github.com/gin-gonic/gin", "github.com/labstack/echo", "github.com/go-chi/chi"],
    websocket: &[
        "github.com/gorilla/websocket",
        "github.com/coder/websocket",
        "nhooyr.io/websocket",
    ],
};

/// Packages that speak Socket.IO, and what a description of them needs.
const SOCKET_IO: [&str; 2] = ["socket.io", "python-socketio"];
const SOCKET_IO_TABLE: &str = r#"
# It uses Socket.IO, which has a protocol of its own over WebSocket. Such a table describes it, for a server that
# answers the event "event" with {"id": …}:
#
# [target.mine.websocket]
# command = COMMAND
# url = "ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
# hello = [{ await = "0{}" }, { send = "40" }, { await = "40{}" }]
# heartbeat = { await = "2", send = "3" }
# wrap = '421["event",{event}]'
# answer = '431[{"id":"{id}"}]'
"#;

/// Where Python applications usually are.
const PYTHON_FILES: [&str; 7] =
    ["main.py", "app.py", "server.py", "wsgi.py", "asgi.py", "app/main.py", "src/main.py"];

/// The program of a directory; `None` where no file describes one.
pub fn of(dir: &Path) -> Option<Proposal> {
    node(dir).or_else(|| python(dir)).or_else(|| rust(dir)).or_else(|| go(dir))
}

fn text(path: &Path) -> Option<String> {
    input::text(path, input::WRITTEN).ok()
}

impl Proposal {
    fn new(
        source: &str,
        command: &[&str],
        known: &Known,
        uses: impl Fn(&str) -> bool + Copy,
    ) -> Proposal {
        let used = |names: &'static [&'static str]| names.iter().copied().filter(|name| uses(name));
        let mut packages: Vec<&str> = used(known.http).chain(used(known.websocket)).collect();
        packages.sort_unstable();
        packages.dedup();
        let serves = [("webhook", known.http), ("websocket", known.websocket)];
        let found = serves.iter().filter(|(_, names)| used(names).next().is_some());
        let mut transports: Vec<&str> = found.map(|(transport, _)| *transport).collect();
        if transports.is_empty() {
            transports = vec!["webhook", "websocket"];
        }
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let has_port = command.iter().any(|word| word.contains("{port}"));
        let port_variable = if has_port { None } else { Some("PORT") };
        Proposal {
            source: source.to_owned(),
            packages,
            transports,
            command,
            port_variable,
            setup: None,
            socket_io: SOCKET_IO.into_iter().any(uses),
        }
    }

    /// `package.json: scripts.start; it uses express, ws`
    pub fn reason(&self) -> String {
        match self.packages.is_empty() {
            true => self.source.clone(),
            false => format!("{}; it uses {}", self.source, self.packages.join(", ")),
        }
    }

    /// What is typed to measure it; one transport alone is compared with the built-in server.
    pub fn run(&self) -> String {
        let own = self.transports.iter().map(|t| format!("{t}@mine"));
        let other = (self.transports.len() == 1).then(|| format!("{}@builtin", self.transports[0]));
        let arms: Vec<String> = own.chain(other).map(|arm| format!("--arm {arm}")).collect();
        format!("pushbench run {}", arms.join(" "))
    }

    /// The tables of a `pushbench.toml`.
    pub fn tables(&self) -> String {
        let mut out = format!(
            "# Your own server, proposed from {}.\n# Nothing was executed. Verify the lines marked <==, remove the \
             table of a transport that it does not\n# serve, and type\n#\n#     pushbench check\n#     {}\n#\n",
            self.reason(),
            self.run()
        );
        for transport in &self.transports {
            let url = match *transport {
                "webhook" => "http://127.0.0.1:{port}/",
                _ => "ws://127.0.0.1:{port}/",
            };
            let _infallible = write!(
                out,
                "\n[target.mine.{transport}]\ncommand = {}   # <== {}\n",
                json!(self.command),
                self.source
            );
            if let Some(name) = self.port_variable {
                let _infallible = writeln!(
                    out,
                    "env = {{ {name} = \"{{port}}\" }}   # <== the variable from which it takes its port; or write \
                     {{port}} in command"
                );
            }
            if let Some(setup) = self.setup {
                let _infallible =
                    writeln!(out, "setup = [\"{setup}\"]   # <== what builds it, once");
            }
            let _infallible =
                writeln!(out, "url = \"{url}\"   # <== the path where it takes events");
        }
        if self.socket_io {
            out.push_str(&SOCKET_IO_TABLE.replace("COMMAND", &json!(self.command).to_string()));
        }
        out.push_str(
            "\n# match is left out: the first look finds out whether answers contain the event's id.\n#\n",
        );
        out
    }
}

fn node(dir: &Path) -> Option<Proposal> {
    let package: Value = serde_json::from_str(&text(&dir.join("package.json"))?).ok()?;
    let bin = match &package["bin"] {
        Value::Object(programs) => programs.values().next().and_then(Value::as_str),
        other => other.as_str(),
    };
    let usual = ["server.js", "index.js", "app.js"].into_iter().find(|f| dir.join(f).is_file());
    let uses = |name: &str| {
        package["dependencies"].get(name).is_some()
            || package["devDependencies"].get(name).is_some()
    };
    let (source, command) = match (package["scripts"]["start"].as_str(), package["main"].as_str()) {
        (Some(_), _) => ("package.json: scripts.start", vec!["npm", "start"]),
        (None, Some(main)) => ("package.json: main", vec!["node", main]),
        _ if bin.is_some() => ("package.json: bin", vec!["node", bin?]),
        _ => ("package.json, which names no program", vec!["node", usual.unwrap_or("server.js")]),
    };
    Some(Proposal::new(source, &command, &NODE, uses))
}

fn python(dir: &Path) -> Option<Proposal> {
    let mut needs: Vec<String> = Vec::new();
    let mut source = "";
    if let Some(text) = text(&dir.join("requirements.txt")) {
        source = "requirements.txt";
        needs.extend(text.lines().map(package_name));
    }
    if let Some(text) = text(&dir.join("pyproject.toml")) {
        source = "pyproject.toml";
        needs.extend(declared(&text));
    }
    let uses = |name: &str| needs.iter().any(|needed| needed == name);
    if source.is_empty() {
        return None;
    }
    let venv = ".venv/bin/python";
    let program = if dir.join(venv).is_file() { venv } else { "python3" };
    let application = |made_by: &str| application(dir, made_by);
    let there = PYTHON_FILES.into_iter().find(|file| dir.join(file).is_file());
    let (more, command) = if uses("django") && dir.join("manage.py").is_file() {
        (" and manage.py".to_owned(), words("manage.py runserver --noreload 127.0.0.1:{port}"))
    } else if let Some((file, module)) =
        ["FastAPI(", "Starlette(", "Quart("].iter().find_map(|m| application(m))
    {
        (format!(" and {file}"), words(&format!("-m uvicorn {module} --port {{port}}")))
    } else if let Some((file, module)) = application("Flask(") {
        (format!(" and {file}"), words(&format!("-m flask --app {module} run --port {{port}}")))
    } else {
        let more = there.map_or(String::new(), |file| format!(" and {file}"));
        (more, vec![there.unwrap_or("main.py").to_owned()])
    };
    let command: Vec<&str> =
        std::iter::once(program).chain(command.iter().map(String::as_str)).collect();
    Some(Proposal::new(&format!("{source}{more}"), &command, &PYTHON, uses))
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// The name of a requirement, `Flask>=3` is flask.
fn package_name(requirement: &str) -> String {
    let end = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
    requirement.trim().split(end).next().unwrap_or_default().to_ascii_lowercase()
}

/// The dependencies of a `pyproject.toml`, in the standard table and in Poetry's.
fn declared(text: &str) -> Vec<String> {
    fn table<'a>(value: Option<&'a DeTable<'a>>, name: &str) -> Option<&'a DeTable<'a>> {
        match value?.get(name)?.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => None,
        }
    }
    let Ok(document) = DeTable::parse(text) else { return Vec::new() };
    let document = document.get_ref();
    let listed = table(Some(document), "project").and_then(|project| project.get("dependencies"));
    let mut found = Vec::new();
    if let Some(DeValue::Array(items)) = listed.map(|value| value.get_ref()) {
        found.extend(items.iter().filter_map(|item| item.get_ref().as_str().map(package_name)));
    }
    let poetry = table(table(Some(document), "tool"), "poetry");
    if let Some(packages) = table(poetry, "dependencies") {
        found.extend(packages.keys().map(|name| package_name(name.get_ref())));
    }
    found
}

/// The file that makes an application with this call, and `module:variable`.
fn application(dir: &Path, made_by: &str) -> Option<(&'static str, String)> {
    PYTHON_FILES.into_iter().find_map(|file| {
        let text = text(&dir.join(file))?;
        let line = text.lines().find(|line| line.contains(made_by) && line.contains('='))?;
        let variable = line.split('=').next()?.split(':').next()?.trim();
        let valid =
            !variable.is_empty() && variable.chars().all(|c| c.is_alphanumeric() || c == '_');
        let module = file.strip_suffix(".py")?.replace('/', ".");
        valid.then(|| (file, format!("{module}:{variable}")))
    })
}

fn rust(dir: &Path) -> Option<Proposal> {
    let text = text(&dir.join("Cargo.toml"))?;
    let document = DeTable::parse(&text).ok()?;
    let dependencies = document.get_ref().get("dependencies").map(|value| value.get_ref());
    let uses = |name: &str| match dependencies {
        Some(DeValue::Table(table)) => table.contains_key(name),
        _ => false,
    };
    let mut found = Proposal::new("Cargo.toml", &["cargo", "run", "--release", "--"], &RUST, uses);
    found.setup = Some("cargo build --release");
    if uses("rocket") {
        found.port_variable = Some("ROCKET_PORT");
    }
    Some(found)
}

fn go(dir: &Path) -> Option<Proposal> {
    let text = text(&dir.join("go.mod"))?;
    let uses = |name: &str| text.split_whitespace().any(|word| word.starts_with(name));
    let mut found = Proposal::new("go.mod", &["go", "run", "."], &GO, uses);
    found.setup = Some("go build ./...");
    Some(found)
}
