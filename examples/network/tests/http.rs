//! The program `http`, as a process: what it serves, what it doesn't, and what it does with clients that misbehave.

#![cfg(target_os = "linux")]

mod support;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use support::{
    Program, connect, connect_with_small_buffers, fails, half_close, on_every_executor, pattern, read_to_end,
    refuses_bad_input, reset, soon,
};

const HTTP: &str = env!("CARGO_BIN_EXE_http");
const SECRET: &str = "not to be had";
/// More than the sockets hold.
const LARGE: usize = 9_000_000;

on_every_executor! {
    files_and_folders
    ranges
    what_the_client_has_already
    nothing_outside_of_the_folder
    methods_and_what_is_no_http
    requests_one_after_another
    many_clients_at_once
    curl
    large_files_take_no_memory
    slow_clients_are_cut
    requests_are_answered_before_the_end
    too_many_open_files
    bad_input_is_refused
}

/// A folder to serve, beside what must not be.
struct Files {
    outside: TempDir,
}

impl Files {
    fn new() -> Self {
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

    fn folder(&self) -> std::path::PathBuf {
        self.outside.path().join("folder")
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder().join(name), bytes).unwrap();
    }

    fn serve(&self, executor: &str, args: &[&str]) -> Program {
        Program::start(HTTP, executor, &[args, &[self.folder().to_str().unwrap()]].concat())
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A client that keeps its connection.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(connect(address)) }
    }

    fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The answer to `method`: HEAD's has no body.
    #[track_caller]
    fn answer(&mut self, method: &str) -> Answer {
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
    fn get(&mut self, path: &str, headers: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: here\r\n{headers}\r\n"));
        self.answer("GET")
    }
}

#[track_caller]
fn get(address: SocketAddr, path: &str) -> Answer {
    Client::new(address).get(path, "")
}

fn files_and_folders(executor: &str) {
    let files = Files::new();
    let program = files.serve(executor, &[]);
    let address = program.address();
    let open = program.files();

    let answer = get(address, "/ten.txt");
    assert_eq!((answer.status, answer.text()), (200, "0123456789"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("accept-ranges"), "bytes");
    let answer = get(address, "/empty?query=is&ignored");
    assert_eq!((answer.status, answer.text()), (200, ""));
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    let answer = get(address, "/a%20b%C3%A4%25.css");
    assert_eq!((answer.status, answer.text()), (200, "p {}"));
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    assert!(get(address, "/large.bin").body == pattern(LARGE));

    assert_eq!(get(address, "/").text(), "<p>home</p>");
    assert_eq!(get(address, "/").header("content-type"), "text/html; charset=utf-8");
    assert_eq!(get(address, "/sub/").text(), "<p>sub</p>");
    for folder in ["/sub", "//sub"] {
        let answer = get(address, folder);
        assert_eq!((answer.status, answer.header("location")), (301, "/sub/"));
    }
    for missing in ["/none", "/none/", "/sub/none", "/sub/deeper/", "/ten.txt/", "/ten.txt/x"] {
        assert_eq!(get(address, missing).status, 404, "{missing}");
    }
    program.has_files_again(open);
    assert_eq!(program.stops(), (0, 0));
}

fn ranges(executor: &str) {
    let files = Files::new();
    let program = files.serve(executor, &[]);
    let mut client = Client::new(program.address());

    for (range, part, bytes) in [
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=0-100", "bytes 0-9/10", "0123456789"),
    ] {
        let answer = client.get("/ten.txt", &format!("Range: {range}\r\n"));
        assert_eq!((answer.status, answer.text()), (206, bytes), "{range}");
        assert_eq!(answer.header("content-range"), part, "{range}");
    }
    for range in ["bytes=10-", "bytes=20-30", "bytes=-0"] {
        let answer = client.get("/ten.txt", &format!("Range: {range}\r\n"));
        assert_eq!((answer.status, answer.header("content-range")), (416, "bytes */10"), "{range}");
    }
    for range in ["bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "nonsense"] {
        let answer = client.get("/ten.txt", &format!("Range: {range}\r\n"));
        assert_eq!((answer.status, answer.text()), (200, "0123456789"), "{range}");
    }
    let answer = client.get("/large.bin", "Range: bytes=1000000-5000000\r\n");
    assert_eq!(answer.status, 206);
    assert!(answer.body == pattern(LARGE)[1_000_000..=5_000_000]);
    drop(client);
    assert_eq!(program.stops().1, 0);
}

fn what_the_client_has_already(executor: &str) {
    const LONG_AGO: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let files = Files::new();
    let program = files.serve(executor, &[]);
    let mut client = Client::new(program.address());
    let modified = client.get("/ten.txt", "").header("last-modified").to_owned();

    let answer = client.get("/ten.txt", &format!("If-Modified-Since: {modified}\r\n"));
    assert_eq!((answer.status, answer.text()), (304, ""));
    assert_eq!(client.get("/ten.txt", &format!("If-Modified-Since: {LONG_AGO}\r\n")).status, 200);
    assert_eq!(client.get("/ten.txt", "If-Modified-Since: nonsense\r\n").status, 200);
    // The rest of what it has, and of what it hasn't.
    assert_eq!(client.get("/ten.txt", &format!("Range: bytes=5-\r\nIf-Range: {modified}\r\n")).text(), "56789");
    assert_eq!(client.get("/ten.txt", &format!("Range: bytes=5-\r\nIf-Range: {LONG_AGO}\r\n")).text(), "0123456789");
    // A time that no date can tell.
    let odd = File::options().write(true).open(files.folder().join("ten.txt")).unwrap();
    odd.set_modified(std::time::UNIX_EPOCH - Duration::from_secs(86_400)).unwrap();
    assert_eq!(client.get("/ten.txt", "").header("last-modified"), "Thu, 01 Jan 1970 00:00:00 GMT");
    drop(client);
    assert_eq!(program.stops().1, 0);
}

fn nothing_outside_of_the_folder(executor: &str) {
    let files = Files::new();
    let (folder, secret) = (files.folder(), files.outside.path().join("secret.txt"));
    symlink(&secret, folder.join("link.txt")).unwrap();
    symlink("../secret.txt", folder.join("near.txt")).unwrap();
    symlink(files.outside.path(), folder.join("out")).unwrap();
    symlink("..", folder.join("up")).unwrap();
    symlink("/", folder.join("root")).unwrap();
    symlink("ten.txt", folder.join("within.txt")).unwrap();
    symlink("loop", folder.join("loop")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
    let program = files.serve(executor, &[]);
    let address = program.address();

    let absolute = format!("/{}", secret.display());
    let encoded = format!("/{}", absolute.replace('/', "%2f"));
    for path in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E/secret.txt",
        "/.%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub/..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "/%252e%252e/secret.txt",
        "/link.txt",
        "/near.txt",
        "/out/secret.txt",
        "/up/secret.txt",
        "/root/etc/passwd",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        &absolute,
        &encoded,
        "/pipe",
    ] {
        let answer = get(address, path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.text().contains(SECRET), "{path}");
    }
    for path in ["/ten.txt%00", "/%00", "/%ff%fe"] {
        assert_eq!(get(address, path).status, 400, "{path}");
    }
    assert!(get(address, "/loop").status >= 404);
    // A request to a proxy: of what it asks for, the path counts.
    assert_eq!(get(address, "http://elsewhere.example/../secret.txt").status, 404);
    // A link that stays within is all right.
    assert_eq!(get(address, "/within.txt").text(), "0123456789");
    assert_eq!(program.stops().1, 0);
}

fn methods_and_what_is_no_http(executor: &str) {
    let files = Files::new();
    let program = files.serve(executor, &[]);
    let address = program.address();
    let open = program.files();

    let mut client = Client::new(address);
    client.send("HEAD /ten.txt HTTP/1.1\r\nHost: here\r\n\r\n");
    let answer = client.answer("HEAD");
    assert_eq!((answer.status, answer.header("content-length")), (200, "10"));
    client.send("HEAD /none HTTP/1.1\r\nHost: here\r\n\r\n");
    assert_eq!(client.answer("HEAD").status, 404);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "WHATEVER"] {
        let mut client = Client::new(address);
        client.send(&format!("{method} /ten.txt HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nbody"));
        let answer = client.answer(method);
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method}");
    }
    // The connection of before has nothing in it of those answers' bodies.
    assert_eq!(client.get("/ten.txt", "").text(), "0123456789");

    for garbage in ["\0\u{1}\u{2}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", &"x".repeat(1_000_000)] {
        let mut stream = connect(address);
        // It need not read all of that.
        let _ = stream.write_all(garbage.as_bytes());
        let answer = read_to_end(&mut stream);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&answer));
    }
    let mut stream = connect(address);
    stream.write_all(b"GET /ten.txt HTTP/1.0\r\n\r\n").unwrap();
    assert!(read_to_end(&mut stream).ends_with(b"0123456789"), "an old client gets its answer, and the end");
    let mut stream = connect(address);
    stream.write_all(b"GET /ten.txt HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    half_close(&stream);
    assert!(read_to_end(&mut stream).ends_with(b"0123456789"), "so does one that ends its half");
    reset(connect(address));
    let mut stream = connect(address);
    stream.write_all(b"GET /large.bin HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    reset(stream);
    drop(client);
    program.has_files_again(open);
    assert_eq!(program.stops(), (0, 0));
}

fn requests_one_after_another(executor: &str) {
    let files = Files::new();
    let program = files.serve(executor, &[]);
    let mut client = Client::new(program.address());
    for n in 0..100 {
        assert_eq!(client.get("/ten.txt", "").text(), "0123456789", "{n}");
    }
    // Without waiting for the answers.
    let requests: String =
        (0..9).map(|n| format!("GET /ten.txt HTTP/1.1\r\nHost: here\r\nRange: bytes={n}-\r\n\r\n")).collect();
    client.send(&requests);
    for n in 0..9 {
        assert_eq!(client.answer("GET").text(), &"0123456789"[n..]);
    }
    drop(client);
    assert_eq!(program.stops().1, 0);
}

fn many_clients_at_once(executor: &str) {
    let files = Files::new();
    let program = files.serve(executor, &[]);
    let address = program.address();
    let open = program.files();
    let mut clients: Vec<_> = (0..64).map(|_| Client::new(address)).collect();
    for _ in 0..10 {
        for client in &mut clients {
            client.send("GET /ten.txt HTTP/1.1\r\nHost: here\r\n\r\n");
        }
        for client in &mut clients {
            assert_eq!(client.answer("GET").text(), "0123456789");
        }
    }
    let large = pattern(LARGE);
    thread::scope(|scope| {
        for client in &mut clients[..8] {
            scope.spawn(|| assert!(client.get("/large.bin", "").body == large));
        }
    });
    drop(clients);
    program.has_files_again(open);
    assert_eq!(program.stops(), (0, 0));
}

fn curl(executor: &str) {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no curl here");
        return;
    }
    let files = Files::new();
    let program = files.serve(executor, &[]);
    let address = program.address();
    let curl = |args: &[&str], path: &str| {
        let url = format!("http://{address}{path}");
        let output =
            Command::new("curl").args(["--silent", "--show-error", "--noproxy", "*"]).args(args).arg(url).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    assert_eq!(curl(&["--fail"], "/ten.txt"), b"0123456789");
    assert_eq!(curl(&["--fail", "--range", "3-5"], "/ten.txt"), b"345");
    assert_eq!(curl(&["--fail", "--location"], "/sub"), b"<p>sub</p>");
    assert!(curl(&["--fail"], "/large.bin") == pattern(LARGE));
    assert!(curl(&["--head"], "/ten.txt").starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!(
        curl(&["--path-as-is", "--output", "/dev/null", "--write-out", "%{http_code}"], "/../secret.txt"),
        b"404"
    );
    // It asks whether it may send that much, before it does.
    let upload = files.folder().join("large.bin");
    let upload = format!("@{}", upload.display());
    let args = ["--data-binary", &upload, "--output", "/dev/null", "--write-out", "%{http_code}"];
    assert_eq!(curl(&args, "/ten.txt"), b"405");
    assert_eq!(program.stops().1, 0);
}

fn large_files_take_no_memory(executor: &str) {
    const CLIENTS: usize = 16;
    const GIGABYTE: u64 = 1 << 30;
    /// For each client two blocks, what the allocator keeps, and some more.
    const ROOM: u64 = CLIENTS as u64 * (1 << 20) + (8 << 20);
    let files = Files::new();
    File::create(files.folder().join("huge")).unwrap().set_len(GIGABYTE).unwrap();
    let program = files.serve(executor, &[]);
    let address = program.address();
    assert_eq!(get(address, "/ten.txt").status, 200);
    let open = program.files();
    let memory = program.memory();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect_with_small_buffers(address)).collect();
    let mut block = vec![0; 256 * 1024];
    for client in &mut clients {
        client.write_all(b"GET /huge HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    }
    for _ in 0..8 {
        for client in &mut clients {
            client.read_exact(&mut block).unwrap();
            assert!(program.memory() < memory + ROOM, "{} bytes, {memory} before", program.memory());
        }
    }
    drop(clients);
    program.has_files_again(open);
    assert_eq!(program.stops(), (0, 0));
}

fn slow_clients_are_cut(executor: &str) {
    const IDLE: Duration = Duration::from_millis(300);
    let files = Files::new();
    let program = files.serve(executor, &["--idle", "0.3"]);
    let address = program.address();
    let open = program.files();

    // Nothing at all; half of a request; one, and no other.
    let begin = Instant::now();
    assert_eq!(read_to_end(&mut connect(address)), b"");
    assert!(begin.elapsed() + Duration::from_millis(10) >= IDLE, "{:?}", begin.elapsed());
    let mut stream = connect(address);
    stream.write_all(b"GET /ten.txt HTTP/1.1\r\nHost:").unwrap();
    let answer = read_to_end(&mut stream);
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{:?}", String::from_utf8_lossy(&answer));
    let mut client = Client::new(address);
    assert_eq!(client.get("/ten.txt", "").status, 200);
    assert_eq!(read_to_end(client.stream.get_mut()), b"");

    // One that asks and doesn't read.
    let mut stream = connect_with_small_buffers(address);
    stream.write_all(b"GET /large.bin HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    soon("the file is open", || program.files() > open + 1);
    program.has_files_again(open);
    assert!(read_to_end(&mut stream).len() < LARGE);
    assert_eq!(program.stops(), (0, 0));
}

fn requests_are_answered_before_the_end(executor: &str) {
    let files = Files::new();
    let mut program = files.serve(executor, &["--drain", "30"]);
    let address = program.address();
    let open = program.files();
    let mut idle = Client::new(address);
    assert_eq!(idle.get("/ten.txt", "").status, 200);
    let mut busy = connect_with_small_buffers(address);
    busy.write_all(b"GET /large.bin HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut begun = [0; 12];
    busy.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    soon("both connections and the file are open", || program.files() == open + 3);

    program.signal("TERM");
    assert_eq!(read_to_end(idle.stream.get_mut()), b"", "who asks for nothing isn't waited for");
    let rest = read_to_end(&mut busy);
    assert!(rest.ends_with(&pattern(LARGE)), "the answer comes to its end");
    assert_eq!(program.has_stopped(), (2, 0));
}

fn too_many_open_files(executor: &str) {
    let files = Files::new();
    let folder = files.folder();
    let program = Program::start_with_few_files(32, HTTP, executor, &[folder.to_str().unwrap()]);
    let address = program.address();
    let open = program.files();
    let mut clients: Vec<_> = (0..60).map(|_| Client::new(address)).collect();
    let line = program.reports();
    assert!(line.contains("can't take more connections: ") && line.contains("(os error 24)"), "{line}");
    // Of those that were accepted, none can have a file now.
    let answer = clients[0].get("/ten.txt", "");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    let line = program.reports();
    assert!(line.contains("can't open a file: ") && line.contains("(os error 24)"), "{line}");
    // As they leave, the others get what they asked for, each in its turn.
    for client in &mut clients[1..] {
        client.send("GET /ten.txt HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    }
    for mut client in clients.drain(1..) {
        let answer = client.answer("GET");
        assert!(answer.status == 200 || answer.status == 503, "{answer:?}");
    }
    assert_eq!(clients[0].get("/ten.txt", "").text(), "0123456789", "on the connection that was refused a file");
    drop(clients);
    program.has_files_again(open);
    assert_eq!(program.stops(), (0, 0));
}

fn bad_input_is_refused(executor: &str) {
    let files = Files::new();
    let folder = files.folder();
    let folder = folder.to_str().unwrap();
    refuses_bad_input(HTTP, executor, &[folder]);
    assert!(fails(HTTP, &[], 2).contains("which folder?"));
    assert!(fails(HTTP, &["/no/such/folder"], 2).contains("/no/such/folder: "));
    let file = format!("{folder}/ten.txt");
    assert!(fails(HTTP, &[&file], 2).contains(&format!("{file}: ")));
    assert!(fails(HTTP, &["--idle", "often", folder], 2).contains("--idle"));
}
