//! When memory is gone the process ends, as Rust has it: it doesn't hang, and nothing goes on with half of what it needed.
//!
//! The tests start themselves again, in a process that may have so much memory and no more.

#![cfg(all(target_os = "linux", feature = "local", feature = "pool", feature = "threaded"))]

use std::future::pending;
use std::hint::black_box;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use polyexec::{Executor, Local, Pool, Threaded};
use polyexec_futures::yield_now;

/// Tells a process that it was started to use up its memory.
const CHILD: &str = "POLYEXEC_OUT_OF_MEMORY";
/// Longer than it takes to use up so much, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(120);
const SIGABRT: i32 = 6;

/// Runs `body` in processes of their own, with a little more memory each time, so that they run out of it at another place;
/// each must end as Rust ends a process without memory.
fn ends_the_process(test: &str, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some_and(|child| child == test) {
        return body();
    }
    for more in 0..8 {
        let kib = (64 << 10) + 331 * more;
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -v {kib} && exec \"$0\" --exact {test} --nocapture --test-threads=1")])
            .arg(std::env::current_exe().expect("the path of this program"))
            .env(CHILD, test)
            // Each thread's own would take addresses by the gigabyte, and leave no room to fill.
            .env("MALLOC_ARENA_MAX", "1")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut stderr = child.stderr.take().expect("it is piped");
        let (sender, said) = channel();
        let reader = thread::spawn(move || {
            let mut said = String::new();
            let _ = stderr.read_to_string(&mut said);
            let _ = sender.send(said);
        });
        let said = match said.recv_timeout(PATIENCE) {
            Ok(said) => said,
            Err(RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                panic!("without memory it hangs ({kib} KiB)");
            }
            Err(RecvTimeoutError::Disconnected) => unreachable!("the reader sends"),
        };
        reader.join().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGABRT), "{status} ({kib} KiB)\n{said}");
        // The others where std or the C library needed something for a thread.
        let says = ["memory allocation of", "Cannot allocate memory", "out of memory"];
        assert!(says.iter().any(|words| said.contains(words)), "it has said ({kib} KiB):\n{said}");
    }
}

/// Spawns tasks that rest, each with `SIZE` bytes in it, and between them some that end, until there is no memory.
fn fill<const SIZE: usize>(executor: &(impl Executor + Clone)) -> ! {
    let mut resting = Vec::new();
    loop {
        let memory = [1_u8; SIZE];
        resting.push(executor.spawn(async move {
            pending::<()>().await;
            memory.len()
        }));
        let ends = executor.spawn(async move {
            yield_now().await;
            black_box(memory).len()
        });
        assert_eq!(executor.block_on(ends).unwrap(), SIZE);
    }
}

#[test]
fn on_a_pool() {
    ends_the_process("on_a_pool", || fill::<10_000>(&Pool::builder().worker_threads(2).build().unwrap().handle()));
}

/// The memory is gone on a worker, and the thread that waits for the task doesn't wait for ever.
#[test]
fn in_a_task_of_a_pool() {
    ends_the_process("in_a_task_of_a_pool", || {
        let pool = Pool::builder().worker_threads(2).build().unwrap();
        let handle = pool.handle();
        pool.block_on(pool.spawn(async move { fill::<10_000>(&handle) })).unwrap();
    });
}

#[test]
fn on_a_local() {
    ends_the_process("on_a_local", || fill::<10_000>(&Local::new().handle()));
}

/// Threads are used up before memory is, and each task that gets none is given back.
#[test]
fn on_threads() {
    ends_the_process("on_threads", || {
        let threaded = Threaded::new();
        let mut resting = Vec::new();
        let mut refused = Vec::new();
        loop {
            let memory = [1_u8; 10_000];
            match threaded.try_spawn(async move {
                pending::<()>().await;
                memory.len()
            }) {
                Ok(task) => resting.push(task),
                Err(error) => refused.push(Box::new(error.into_future())),
            }
        }
    });
}
