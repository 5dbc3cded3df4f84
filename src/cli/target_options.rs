//! The options that describe a target without a file.

use pushbench_core::error::Result;
use pushbench_core::transport::Transport;
use pushbench_sut::given::Given;

/// Where a server of the user's own takes events, and what starts it.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Your own server, without a file")]
pub struct TargetOptions {
    /// Where it takes events by HTTP or HTTPS: the arm webhook@mine. Without --arm only the URLs given here are
    /// measured; with it they come first
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Where it takes events by WebSocket: the arm websocket@mine
    #[arg(long, value_name = "URL")]
    websocket: Option<String>,
    /// Starts it, once for each arm; {port}, also in the URLs, is a free port, and {cert} and {key} are files of a
    /// certificate made for this run. Without it the server is running already
    #[arg(long, value_name = "CMD")]
    command: Option<String>,
    /// For https and wss: PEM certificates to trust, the server's own or that of the authority that issued it;
    /// with {cert} in the command it is not needed
    #[arg(long, value_name = "FILE")]
    ca: Option<String>,
    /// For https and wss: the name in the server's certificate, where it is not the host of the URL
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
}

impl TargetOptions {
    /// The target; `None` where no option is given.
    pub fn target(&self, allow_hosts: &[String]) -> Result<Option<Given>> {
        let urls = [(Transport::Webhook, &self.webhook), (Transport::Websocket, &self.websocket)];
        let urls: Vec<(Transport, &str)> =
            urls.into_iter().filter_map(|(t, url)| Some((t, url.as_deref()?))).collect();
        let trust = (self.ca.as_deref(), self.server_name.as_deref());
        Given::read(&urls, self.command.as_deref(), trust, allow_hosts)
    }

    /// Whether one of them was typed.
    pub fn is_given(&self) -> bool {
        !self.words().is_empty()
    }

    /// The options as they are typed.
    pub fn words(&self) -> Vec<String> {
        let all = [
            ("--webhook", &self.webhook),
            ("--websocket", &self.websocket),
            ("--command", &self.command),
            ("--ca", &self.ca),
            ("--server-name", &self.server_name),
        ];
        let typed = |(option, value): (&str, &Option<String>)| {
            value.as_ref().map(|value| [option.to_owned(), value.clone()])
        };
        all.into_iter().filter_map(typed).flatten().collect()
    }
}

/// The arms of the options, then those named with `--arm`; `default` where there are none.
pub fn names(
    given: Option<&Given>,
    named: &[String],
    default: impl FnOnce() -> Vec<String>,
) -> Vec<String> {
    let names = [given.map(Given::arms).unwrap_or_default(), named.to_vec()].concat();
    if names.is_empty() { default() } else { names }
}

/// Said where the options take the place of a description.
pub fn remark(given: Option<&Given>) -> Option<&'static str> {
    given.filter(|given| given.hides_another()).map(|_| {
        "mine is the target of --webhook and --websocket; [target.mine] of pushbench.toml is not used"
    })
}
