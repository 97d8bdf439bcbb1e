//! Runs the program `http` as a process: misbehaving clients, shortages, and its end.

#![cfg(target_os = "linux")]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use support::http::{Client, Files, HTTP, LARGE, get};
use support::{
    Program, connect, connect_with_small_buffers, fails, half_close, on_every_executor, pattern, read_to_end,
    refuses_bad_input, reset, soon,
};

on_every_executor! {
    methods_and_what_is_no_http
    large_files_take_no_memory
    slow_clients_are_cut
    requests_are_answered_before_the_end
    too_many_open_files
    bad_input_is_refused
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
    // A range is GET's alone (RFC 9110, 14.2), whether there is such a part or not.
    for range in ["2-4", "20-30"] {
        client.send(&format!("HEAD /ten.txt HTTP/1.1\r\nHost: here\r\nRange: bytes={range}\r\n\r\n"));
        let answer = client.answer("HEAD");
        assert_eq!((answer.status, answer.header("content-length"), answer.header("content-range")), (200, "10", ""));
    }
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
    program.stops_well();
}

fn large_files_take_no_memory(executor: &str) {
    const CLIENTS: usize = 16;
    const GIGABYTE: u64 = 1 << 30;
    /// For each client two blocks, what the allocator keeps, and some more.
    const ROOM: u64 = CLIENTS as u64 * (256 << 10) + (4 << 20);
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
    program.stops_well();
}

fn slow_clients_are_cut(executor: &str) {
    const IDLE: Duration = Duration::from_millis(300);
    let files = Files::new();
    let program = files.serve(executor, &["--idle", "0.3"]);
    let address = program.address();
    let open = program.files();

    // No bytes; half of a request; one request and no other.
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

    // A client that sends requests and doesn't read.
    let mut stream = connect_with_small_buffers(address);
    stream.write_all(b"GET /large.bin HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    soon("the file is open", || program.files() > open + 1);
    program.has_files_again(open);
    assert!(read_to_end(&mut stream).len() < LARGE);
    program.stops_well();
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
    program.stops_well();
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
