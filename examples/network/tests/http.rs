//! Runs the program `http` as a process: the files that it serves, and those that it doesn't.

#![cfg(target_os = "linux")]

mod support;

use std::fs::File;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use std::time::Duration;

use support::http::{Client, Files, LARGE, SECRET, get};
use support::{on_every_executor, pattern};

on_every_executor! {
    files_and_folders
    ranges
    what_the_client_has_already
    nothing_outside_of_the_folder
    requests_one_after_another
    many_clients_at_once
    curl
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
    program.stops_well();
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
    program.stops_well();
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
    // A tag takes precedence over a date, and no file has that tag.
    let tagged = format!("If-None-Match: \"it\"\r\nIf-Modified-Since: {modified}\r\n");
    assert_eq!(client.get("/ten.txt", &tagged).status, 200);
    // The rest of what it has, and of what it hasn't.
    assert_eq!(client.get("/ten.txt", &format!("Range: bytes=5-\r\nIf-Range: {modified}\r\n")).text(), "56789");
    assert_eq!(client.get("/ten.txt", &format!("Range: bytes=5-\r\nIf-Range: {LONG_AGO}\r\n")).text(), "0123456789");
    // A time that no date can tell.
    let odd = File::options().write(true).open(files.folder().join("ten.txt")).unwrap();
    odd.set_modified(std::time::UNIX_EPOCH - Duration::from_secs(86_400)).unwrap();
    assert_eq!(client.get("/ten.txt", "").header("last-modified"), "Thu, 01 Jan 1970 00:00:00 GMT");
    drop(client);
    program.stops_well();
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
    assert_eq!(get(address, "/loop").status, 404);
    // A request to a proxy: only its path matters.
    assert_eq!(get(address, "http://elsewhere.example/../secret.txt").status, 404);
    // A link that stays within is all right.
    assert_eq!(get(address, "/within.txt").text(), "0123456789");
    program.stops_well();
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
    program.stops_well();
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
    program.stops_well();
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
    program.stops_well();
}
