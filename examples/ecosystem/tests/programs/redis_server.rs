//! A server of Redis for one test. It stores nothing, and ends with the test, even if the test's process is killed.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// Redis doesn't end with its parent. A shell stops it when the shell's input ends, and this process has the other side of that.
const SCRIPT: &str = r#"redis-server "$@" & exec >/dev/null 2>&1; cat; kill $!; wait"#;

/// Another process may take a port before the server does.
const TRIES: usize = 5;

/// What dropping does: stops the server, and waits for its end.
pub(crate) struct RedisServer {
    shell: Child,
    port: u16,
}

impl RedisServer {
    /// Returns once the server listens. `None` if there is no `redis-server`: says so.
    pub(crate) fn start() -> Option<Self> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            // Not `eprintln`, which the test harness captures.
            _ = writeln!(std::io::stderr(), "SKIPPED: there is no redis-server");
            return None;
        }
        let mut log = String::new();
        let server = (0..TRIES).find_map(|_| Self::on_a_free_port(&mut log));
        Some(server.unwrap_or_else(|| panic!("redis-server doesn't start:\n{log}")))
    }

    fn on_a_free_port(log: &mut String) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh", "--bind", "127.0.0.1", "--save", "", "--port"]).arg(port.to_string());
        command.current_dir(env!("CARGO_TARGET_TMPDIR")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = Self { shell: command.spawn().unwrap(), port };
        // They end with the server. It goes on when this side of the pipe is closed.
        let mut lines = BufReader::new(server.shell.stdout.take().unwrap()).lines().map(Result::unwrap);
        let is_ready = lines.any(|line| {
            log.extend([&line, "\n"]);
            line.contains("Ready to accept connections")
        });
        is_ready.then_some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Closes its input first.
        _ = self.shell.wait();
    }
}
