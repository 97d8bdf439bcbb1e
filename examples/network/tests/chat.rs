//! Runs the program `chat` as a process: the lines that each client receives, and what happens to slow or misbehaving clients.

#![cfg(target_os = "linux")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use support::{
    Program, connect, connect_with_small_buffers, fails, half_close, on_every_executor, read_to_end, refuses_bad_input,
    reset, soon,
};

const CHAT: &str = env!("CARGO_BIN_EXE_chat");

on_every_executor! {
    all_hear_what_one_says
    names
    slow_readers_take_no_memory_and_are_told_what_they_missed
    who_reads_nothing_is_disconnected
    clients_that_misbehave
    all_are_told_before_the_end
    too_many_open_files
    bad_input_is_refused
}

fn chat(executor: &str, args: &[&str]) -> Program {
    Program::start(CHAT, executor, args)
}

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// A client in the room.
    #[track_caller]
    fn join(address: SocketAddr, name: &str) -> Self {
        Self::join_by(connect(address), name)
    }

    #[track_caller]
    fn join_by(stream: TcpStream, name: &str) -> Self {
        let mut client = Self { stream: BufReader::new(stream) };
        client.hears("* your name?");
        client.says(name);
        let hello = client.line();
        assert!(hello.starts_with(&format!("* hello {name}, ")), "{hello}");
        client
    }

    fn says(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    #[track_caller]
    fn hears(&mut self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// Reads the rest, until the connection ends.
    #[track_caller]
    fn rest(mut self) -> String {
        let mut rest = self.stream.buffer().to_vec();
        rest.extend(read_to_end(self.stream.get_mut()));
        String::from_utf8(rest).unwrap()
    }
}

fn all_hear_what_one_says(executor: &str) {
    let program = chat(executor, &[]);
    let address = program.address();
    let files = program.files();
    let mut ann = Client::join(address, "ann");
    let mut bob = Client::join(address, "bob");
    ann.hears("* bob has come");
    let mut eve = Client::join(address, "eve");
    ann.hears("* eve has come");
    bob.hears("* eve has come");
    for n in 0..50 {
        ann.says(&format!("line {n}"));
        bob.hears(&format!("ann: line {n}"));
        eve.hears(&format!("ann: line {n}"));
    }
    bob.says("one\r\n\ntwo");
    for client in [&mut ann, &mut eve] {
        client.hears("bob: one");
        client.hears("bob: two");
    }
    // A client that closes its side still receives the lines before that.
    half_close(bob.stream.get_ref());
    ann.hears("* bob has left");
    eve.hears("* bob has left");
    assert_eq!(bob.rest(), "");
    drop(eve);
    ann.hears("* eve has left");
    drop(ann);
    program.has_files_again(files);
    program.stops_well();
}

fn names(executor: &str) {
    let program = chat(executor, &["--stall", "0.5"]);
    let address = program.address();
    let files = program.files();
    let _ann = Client::join(address, "ann");
    for (name, answer) in [
        ("ann", "* that name is taken, good bye"),
        ("* the server stops", "* a name doesn't begin with *, good bye"),
        ("", "* a name has 1 to 32 characters, good bye"),
        ("   ", "* a name has 1 to 32 characters, good bye"),
        (&"x".repeat(33), "* a name has 1 to 32 characters, good bye"),
        (&"x".repeat(3_000), "* a name has 1 to 32 characters, good bye"),
    ] {
        let mut stream = connect(address);
        stream.write_all(format!("{name}\n").as_bytes()).unwrap();
        let answers = String::from_utf8(read_to_end(&mut stream)).unwrap();
        assert_eq!(answers, format!("* your name?\n{answer}\n"));
    }
    // None.
    let begin = Instant::now();
    assert_eq!(read_to_end(&mut connect(address)), b"* your name?\n* too slow, good bye\n");
    assert!(begin.elapsed() >= Duration::from_millis(490), "{:?}", begin.elapsed());
    let mut stream = connect(address);
    stream.write_all(b"so slo").unwrap();
    assert_eq!(read_to_end(&mut stream), b"* your name?\n* too slow, good bye\n");
    program.has_files_again(files + 1);
    program.stops_well();
}

/// The lines that `client` received from `ann`, and the counts of those it missed, until her last line.
fn heard_and_missed(client: &mut Client, last: &str) -> (u64, u64) {
    let (mut heard, mut missed) = (0, 0);
    loop {
        let line = client.line();
        if let Some(text) = line.strip_prefix("ann: ") {
            heard += 1;
            if text == last {
                return (heard, missed);
            }
            // In their places, both of them.
            let number: u64 = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(number + 1, heard + missed, "{line}");
        } else {
            let gap = line.strip_prefix("* you read too slowly: ").expect(&line);
            missed += gap.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
}

fn slow_readers_take_no_memory_and_are_told_what_they_missed(executor: &str) {
    const LINES: u64 = 60_000;
    const ROOM: u64 = 8 << 20;
    let program = chat(executor, &["--stall", "60"]);
    let address = program.address();
    let files = program.files();
    let mut ann = Client::join(address, "ann");
    // One client doesn't read until the end, one reads as fast as it can.
    let mut slow = Client::join_by(connect_with_small_buffers(address), "slow");
    ann.hears("* slow has come");
    let mut fast = Client::join(address, "fast");
    ann.hears("* fast has come");
    slow.hears("* fast has come");
    let listens = thread::spawn(move || (heard_and_missed(&mut fast, "that was all"), fast));
    let memory = program.memory();
    let filling = "x".repeat(500);
    for n in 0..LINES {
        ann.says(&format!("{n} {filling}"));
        if n % 1_000 == 0 {
            assert!(program.memory() < memory + ROOM, "{} bytes, {memory} before", program.memory());
        }
    }
    // The last line, repeated until both have received it, since it may be dropped, too.
    let repeats = thread::spawn(move || {
        let slow_heard = heard_and_missed(&mut slow, "that was all");
        (slow_heard, slow)
    });
    while !(repeats.is_finished() && listens.is_finished()) {
        ann.says("that was all");
        thread::sleep(Duration::from_millis(20));
    }
    let ((heard, missed), slow) = repeats.join().unwrap();
    assert!(missed > 0, "{heard} lines of {LINES} found room");
    assert!(heard + missed > LINES, "{heard} heard, {missed} missed of {LINES}");
    let ((heard, missed), fast) = listens.join().unwrap();
    assert!(heard + missed > LINES, "{heard} heard, {missed} missed of {LINES}");
    assert!(program.memory() < memory + ROOM, "{} bytes, {memory} before", program.memory());
    drop((ann, slow, fast));
    program.has_files_again(files);
    program.stops_well();
}

fn who_reads_nothing_is_disconnected(executor: &str) {
    let program = chat(executor, &["--stall", "0.5"]);
    let address = program.address();
    let mut ann = Client::join(address, "ann");
    let stuck = Client::join_by(connect_with_small_buffers(address), "stuck");
    ann.hears("* stuck has come");
    let files = program.files();
    ann.stream.get_mut().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    // The sockets hold some megabytes of it.
    let much = vec!["x".repeat(1_000); 200].join("\n");
    let mut left = String::new();
    soon("the one that is stuck has left", || {
        ann.says(&much);
        let _ = ann.stream.read_line(&mut left);
        left == "* stuck has left\n"
    });
    program.has_files_again(files - 1);
    drop(stuck);
    program.stops_well();
}

fn clients_that_misbehave(executor: &str) {
    let program = chat(executor, &[]);
    let address = program.address();
    let files = program.files();
    let mut ann = Client::join(address, "ann");
    // Bytes that aren't text, and control characters.
    let mut bob = Client::join(address, "bob");
    ann.hears("* bob has come");
    bob.stream.get_mut().write_all(b"\x1b[2J\xff\xfe\x00!\n").unwrap();
    ann.hears("bob: \u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}!");
    // A line without end.
    let _ = bob.stream.get_mut().write_all(&[b'x'; 100_000]);
    ann.hears("* bob has left");
    let _ = read_to_end(bob.stream.get_mut());
    let mut bob = Client::join(address, "bob");
    ann.hears("* bob has come");
    bob.says(&"x".repeat(1_025));
    assert_eq!(bob.rest(), "* a line has 1024 bytes at most, good bye\n");
    ann.hears("* bob has left");
    // A reset, in the room and before.
    reset(connect(address));
    let bob = Client::join(address, "bob");
    ann.hears("* bob has come");
    reset(bob.stream.into_inner());
    ann.hears("* bob has left");
    drop(connect(address));
    half_close(&connect(address));
    drop(ann);
    program.has_files_again(files);
    program.stops_well();
}

fn all_are_told_before_the_end(executor: &str) {
    let mut program = chat(executor, &["--drain", "30"]);
    let address = program.address();
    let (ann, bob) = (Client::join(address, "ann"), Client::join(address, "bob"));
    let mut nobody = connect(address);
    program.signal("TERM");
    // The one may see the other leave before.
    assert!(ann.rest().ends_with("* the server stops\n"));
    assert!(bob.rest().ends_with("* the server stops\n"));
    // It may have connected too late to be asked for its name.
    let last = read_to_end(&mut nobody);
    assert!(last.is_empty() || last == b"* your name?\n* the server stops\n", "{:?}", String::from_utf8_lossy(&last));
    let (finished, cut) = program.has_stopped();
    assert!((2..=3).contains(&finished) && cut == 0, "{finished} finished, {cut} cut");
}

fn too_many_open_files(executor: &str) {
    let program = Program::start_with_few_files(32, CHAT, executor, &[]);
    let address = program.address();
    let files = program.files();
    let mut clients: Vec<_> = (0..50).map(|_| BufReader::new(connect(address))).collect();
    let line = program.reports();
    assert!(line.contains("can't take more connections: ") && line.contains("(os error 24)"), "{line}");
    // As one leaves, another one is asked for its name.
    for mut client in clients.drain(..) {
        let mut line = String::new();
        client.read_line(&mut line).unwrap();
        assert_eq!(line, "* your name?\n");
    }
    program.has_files_again(files);
    program.stops_well();
}

fn bad_input_is_refused(executor: &str) {
    refuses_bad_input(CHAT, executor, &[]);
    assert!(fails(CHAT, &["--lines", "0"], 2).contains("--lines"));
    assert!(fails(CHAT, &["--stall", "-1"], 2).contains("--stall"));
}
