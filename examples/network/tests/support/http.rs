//! A folder to serve, and an HTTP client without a library. Tests nothing.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Program, connect, pattern};

pub(crate) const HTTP: &str = env!("CARGO_BIN_EXE_http");
/// The file beside the folder.
pub(crate) const SECRET: &str = "not to be had";
/// The length of a file that is too large for the sockets' buffers.
pub(crate) const LARGE: usize = 9_000_000;

/// A folder to serve, beside a file that must not be served.
pub(crate) struct Files {
    pub(crate) outside: TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self { outside: tempfile::tempdir().unwrap() };
        fs::write(files.outside.path().join("secret.txt"), SECRET).unwrap();
        fs::create_dir(files.folder()).unwrap();
        files.write("index.html", b"<p>home</p>");
        files.write("ten.txt", b"0123456789");
        files.write("empty", b"");
        files.write("a bä%.css", b"p {}");
        files.write("large.bin", &pattern(LARGE));
        fs::create_dir_all(files.folder().join("sub/deeper")).unwrap();
        files.write("sub/index.html", b"<p>sub</p>");
        files
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.outside.path().join("folder")
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder().join(name), bytes).unwrap();
    }

    pub(crate) fn serve(&self, executor: &str, args: &[&str]) -> Program {
        Program::start(HTTP, executor, &[args, &[self.folder().to_str().unwrap()]].concat())
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A client that keeps its connection.
pub(crate) struct Client {
    pub(crate) stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(connect(address)) }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Reads the response to `method`: that to HEAD has no body.
    #[track_caller]
    pub(crate) fn answer(&mut self, method: &str) -> Answer {
        let status = self.line();
        let status = status.strip_prefix("HTTP/1.1 ").expect(&status)[..3].parse().unwrap();
        let mut headers = HashMap::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.insert(name.to_owned(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        self.stream.read_exact(&mut body).unwrap();
        Answer { status, headers, body }
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str, headers: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: here\r\n{headers}\r\n"));
        self.answer("GET")
    }
}

#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    Client::new(address).get(path, "")
}
