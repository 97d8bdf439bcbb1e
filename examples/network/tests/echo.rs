//! Runs the program `echo` as a process: its replies, its end, and misbehaving peers.

#![cfg(target_os = "linux")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use support::{
    PATIENCE, Program, connect, connect_with_small_buffers, half_close, on_every_executor, pattern, read_to_end,
    refuses_bad_input, reset, soon,
};

const ECHO: &str = env!("CARGO_BIN_EXE_echo");

on_every_executor! {
    sends_back_what_it_gets
    many_at_once
    open_connections_finish_or_are_cut
    those_that_finish_are_not_waited_for_longer
    who_asks_twice_does_not_wait
    bad_input_is_refused
    too_many_open_files
    peers_that_misbehave
    a_peer_that_does_not_read
}

fn echo(executor: &str, args: &[&str]) -> Program {
    Program::start(ECHO, executor, args)
}

/// Sends `text`, and reads as many bytes.
#[track_caller]
fn round_trip(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    assert!(back == text, "{:?} for {:?}", String::from_utf8_lossy(&back), String::from_utf8_lossy(text));
}

fn sends_back_what_it_gets(executor: &str) {
    let program = echo(executor, &[]);
    let address = program.address();
    let files = program.files();
    let mut stream = connect(address);
    round_trip(&mut stream, b"a line\n");
    round_trip(&mut stream, &[0]);
    // More than all buffers on the way hold, so that both directions are busy at once; then half of the connection ends.
    let sent = pattern(9_000_000);
    let writer = {
        let (mut stream, sent) = (stream.try_clone().unwrap(), sent.clone());
        thread::spawn(move || {
            stream.write_all(&sent).unwrap();
            half_close(&stream);
        })
    };
    assert!(read_to_end(&mut stream) == sent, "all comes back before the end");
    writer.join().unwrap();
    drop(stream);
    program.has_files_again(files);
    program.stops_well();
}

fn many_at_once(executor: &str) {
    let program = echo(executor, &[]);
    let address = program.address();
    let files = program.files();
    let mut streams: Vec<_> = (0..200).map(|_| connect(address)).collect();
    for n in 0..3u8 {
        streams.iter_mut().for_each(|stream| stream.write_all(&[n]).unwrap());
        for stream in &mut streams {
            let mut back = [0];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, [n]);
        }
    }
    drop(streams);
    program.has_files_again(files);
    program.stops_well();
}

fn open_connections_finish_or_are_cut(executor: &str) {
    const DRAIN: Duration = Duration::from_secs(3);
    let mut program = echo(executor, &["--drain", "3"]);
    let address = program.address();
    let mut streams = [connect(address), connect(address), connect(address)];
    streams.iter_mut().for_each(|stream| round_trip(stream, b"before"));
    let begin = Instant::now();
    program.stops_to_listen("INT", address);
    let [mut one, mut two, mut three] = streams;
    round_trip(&mut one, b"after");
    round_trip(&mut two, b"after");
    round_trip(&mut three, b"after");
    drop(one);
    half_close(&two);
    assert_eq!(read_to_end(&mut two), b"");
    assert_eq!(read_to_end(&mut three), b"", "the one that doesn't end is cut");
    assert!(begin.elapsed() + Duration::from_millis(500) >= DRAIN, "{:?} of {DRAIN:?}", begin.elapsed());
    assert_eq!(program.has_stopped(), (2, 1));
}

fn those_that_finish_are_not_waited_for_longer(executor: &str) {
    let mut program = echo(executor, &["--drain", "3600"]);
    let address = program.address();
    let mut stream = connect(address);
    round_trip(&mut stream, b"before");
    program.stops_to_listen("TERM", address);
    round_trip(&mut stream, b"after");
    drop(stream);
    assert_eq!(program.has_stopped(), (1, 0));
}

fn who_asks_twice_does_not_wait(executor: &str) {
    let mut program = echo(executor, &["--drain", "3600"]);
    let address = program.address();
    let mut stream = connect(address);
    round_trip(&mut stream, b"before");
    program.stops_to_listen("INT", address);
    program.signal("INT");
    assert_eq!(program.ends(), 130);
}

fn bad_input_is_refused(executor: &str) {
    refuses_bad_input(ECHO, executor, &[]);
}

fn too_many_open_files(executor: &str) {
    const CLIENTS: u8 = 60;
    let program = Program::start_with_few_files(32, ECHO, executor, &[]);
    let address = program.address();
    let files = program.files();
    let mut streams: Vec<_> = (0..CLIENTS).map(|_| connect(address)).collect();
    for (n, stream) in (0..).zip(&mut streams) {
        stream.write_all(&[n]).unwrap();
    }
    let line = program.reports();
    assert!(line.contains("can't take more connections: ") && line.contains("(os error 24)"), "{line}");

    // It waits, and doesn't spin.
    let (begin, cpu) = (Instant::now(), program.cpu());
    soon("a second is over", || begin.elapsed() > Duration::from_secs(1));
    let (wall, cpu) = (begin.elapsed(), program.cpu() - cpu);
    assert!(cpu < wall / 4, "{cpu:?} of {wall:?} spent on waiting");

    // It goes on as connections end, and serves all that wait.
    for (n, mut stream) in (0..).zip(streams) {
        let mut back = [0];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, [n]);
    }
    program.has_files_again(files);
    round_trip(&mut connect(address), b"as before");
    program.has_files_again(files);
    program.stops_well();
}

fn peers_that_misbehave(executor: &str) {
    let program = echo(executor, &["--idle", "0.3"]);
    let address = program.address();
    let files = program.files();
    // Nothing at all.
    let begin = Instant::now();
    assert_eq!(read_to_end(&mut connect(address)), b"");
    assert!(begin.elapsed() >= Duration::from_millis(290), "{:?}", begin.elapsed());
    // Something, and nothing then.
    let mut stream = connect(address);
    round_trip(&mut stream, b"something");
    assert_eq!(read_to_end(&mut stream), b"");
    // The end at once; a half of it; a reset, before and after something was sent, and with something under way.
    drop(connect(address));
    let mut stream = connect(address);
    half_close(&stream);
    assert_eq!(read_to_end(&mut stream), b"");
    reset(connect(address));
    let mut stream = connect(address);
    round_trip(&mut stream, b"something");
    reset(stream);
    let mut stream = connect(address);
    stream.write_all(&pattern(100_000)).unwrap();
    reset(stream);
    // None of them has harmed it.
    program.has_files_again(files);
    round_trip(&mut connect(address), b"as before");
    program.has_files_again(files);
    program.stops_well();
}

fn a_peer_that_does_not_read(executor: &str) {
    const ROOM: u64 = 8 << 20;
    let program = echo(executor, &["--idle", "1"]);
    let address = program.address();
    let (files, memory) = (program.files(), program.memory());
    let mut stream = connect_with_small_buffers(address);
    let block = pattern(1 << 20);
    // Writes as much as it can, until it is cut.
    let mut sent = 0;
    let begin = Instant::now();
    let error = loop {
        assert!(begin.elapsed() < PATIENCE, "it was read from all the time");
        match stream.write(&block) {
            Ok(written) => {
                sent += written;
                let now = program.memory();
                assert!(now < memory + ROOM, "{now} bytes after {sent} were sent, {memory} before");
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    program.has_files_again(files);
    program.stops_well();
}
