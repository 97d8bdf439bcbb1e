//! The executor for blocking work. The process has one, so tests that configure it run in processes of their own.

use std::any::Any;
use std::io::ErrorKind;
use std::panic::{Location, catch_unwind};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use polyexec_conformance::probe::{Gate, Planned, Tally};
use polyexec_conformance::watched;
use polyexec_core::{Executor, Handle, JoinHandle, block_on, spawn};
use polyexec_threaded::Threaded;
use polyexec_threaded::blocking::{builder, configure, shutdown_timeout, spawn_blocking, unblock};

const BRIEF: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(3600);

/// An environment variable: the test for which a process was started.
const CHILD: &str = "POLYEXEC_TEST_BLOCKING";

/// Runs the calling `test` again in a process of its own, with the variables `env`.
fn alone(test: &str, env: &[(&str, &str)], body: impl FnOnce()) {
    const DONE: &str = "the test has run in a process of its own";
    if std::env::var_os(CHILD).is_some() {
        body();
        println!("{DONE}");
        return;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, test).envs(env.iter().copied());
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].map(|told| String::from_utf8_lossy(&told).into_owned()).concat();
    assert!(output.status.success() && told.contains(DONE), "{told}");
}

/// Occupies a thread until the gate opens. Returns when it has begun.
fn occupy(gate: &Gate) -> JoinHandle<&'static str> {
    let (begun, opened) = (Gate::new(), gate.clone());
    let begin = begun.clone();
    let occupant = spawn_blocking(move || {
        begin.open();
        opened.wait();
        "through"
    });
    begun.wait();
    occupant
}

/// Whether the location is in this file, and not in the library's `blocking.rs`.
fn is_here(location: &Location) -> bool {
    location.file() == file!()
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<String>().expect("a message with arguments")
}

#[test]
fn what_it_returns_comes_back() {
    watched!();
    assert_eq!(spawn_blocking(|| 6 * 7).join().unwrap(), 42);
    assert!(block_on(unblock(|| thread::current().name().unwrap().starts_with("blocking-"))));
    // Blocking work may wait for other blocking work while there are threads.
    assert_eq!(block_on(unblock(|| 2 * block_on(unblock(|| 3 * spawn_blocking(|| 7).join().unwrap())))), 42);
}

#[test]
fn a_panic_comes_to_who_waits_with_its_payload() {
    watched!();
    struct Mine(u32);
    let error = spawn_blocking(|| std::panic::panic_any(Mine(7))).join().unwrap_err();
    assert!(error.is_panic() && is_here(error.task().location()), "{error}");
    assert_eq!(error.into_panic().downcast::<Mine>().map(|mine| mine.0).ok(), Some(7));

    let panic = catch_unwind(|| block_on(unblock(|| std::panic::panic_any(Mine(8))))).unwrap_err();
    assert_eq!(panic.downcast::<Mine>().map(|mine| mine.0).ok(), Some(8));
}

#[test]
fn ten_thousand_at_once_have_their_turn() {
    watched!();
    const WORKS: usize = 10_000;
    let works: Vec<_> = (0..WORKS).map(|n| spawn_blocking(move || n)).collect();
    let sum: usize = works.into_iter().map(|work| work.join().unwrap()).sum();
    assert_eq!(sum, WORKS * (WORKS - 1) / 2);
    let sum = block_on(async {
        let works: Vec<_> = (0..WORKS).map(|n| unblock(move || n)).collect();
        let mut sum = 0;
        for work in works {
            sum += work.await;
        }
        sum
    });
    assert_eq!(sum, WORKS * (WORKS - 1) / 2);
}

#[test]
fn it_finds_the_executor_of_its_caller() {
    watched!();
    let threaded = Threaded::builder().thread_name("caller").build().unwrap();
    let is_of_caller = || thread::current().name().is_some_and(|name| name.starts_with("caller-"));
    let (spawned, nested, driven) = threaded
        .spawn(async move {
            unblock(move || {
                let nested = spawn_blocking(move || spawn(async move { is_of_caller() }).join().unwrap());
                let driven = Handle::current().unwrap().block_on(spawn(async move { is_of_caller() })).unwrap();
                (spawn(async move { is_of_caller() }).join().unwrap(), nested.join().unwrap(), driven)
            })
            .await
        })
        .join()
        .unwrap();
    assert!(spawned && nested && driven);
    // Also in a `block_on`.
    assert!(threaded.block_on(async { unblock(|| Handle::current().is_some()).await }));
    let [left] = threaded.block_on(async { unblock(|| [spawn(std::future::pending::<()>())]).await });
    drop(threaded);
    assert!(left.join().unwrap_err().is_shutdown());
}

#[test]
fn outside_of_executors_there_is_none_whatever_was_there_before() {
    watched!();
    let threaded = Threaded::new();
    for _ in 0..100 {
        let inside = threaded.spawn(async {
            unblock(|| {
                assert!(Handle::current().is_some());
                std::panic::panic_any(Planned)
            })
            .await
        });
        assert!(inside.join().unwrap_err().is_panic());
        assert!(spawn_blocking(|| Handle::current().is_none()).join().unwrap());
    }
}

#[test]
fn dropped_before_it_has_begun_it_never_runs() {
    alone("dropped_before_it_has_begun_it_never_runs", &[], || {
        watched!();
        configure(builder().max_threads(1).thread_name("one")).unwrap();
        let (gate, ran, dropped) = (Gate::new(), Tally::new(), Tally::new());
        let occupant = occupy(&gate);
        let works: Vec<_> = (0..10)
            .map(|_| {
                let (ran, dropped) = (ran.clone(), dropped.on_drop());
                unblock(move || (ran.add(), drop(dropped)))
            })
            .collect();
        drop(works);
        let aborted = spawn_blocking(|| ());
        aborted.abort();
        // The last one in the queue.
        let last = spawn_blocking(|| thread::current().name().map(str::to_owned));
        assert_eq!((ran.get(), dropped.get(), last.is_finished()), (0, 0, false));
        gate.open();
        assert_eq!(last.join().unwrap().as_deref(), Some("one-0"));
        assert!(aborted.join().unwrap_err().is_cancelled());
        assert_eq!((ran.get(), dropped.get(), occupant.join().unwrap()), (0, 10, "through"));

        // Once begun, it goes on.
        let (gate, (tell, told), (begin, begun)) = (Gate::new(), channel(), channel());
        let opened = gate.clone();
        let work = unblock(move || {
            begin.send(()).unwrap();
            opened.wait();
            tell.send("went on").unwrap();
        });
        begun.recv().unwrap();
        drop(work);
        gate.open();
        assert_eq!(told.recv(), Ok("went on"));
    });
}

#[test]
fn work_beyond_512_threads_waits() {
    alone("work_beyond_512_threads_waits", &[], || {
        watched!();
        const BOUND: usize = 512;
        let gate = Gate::new();
        let occupants: Vec<_> = (0..BOUND).map(|_| occupy(&gate)).collect();
        let ran = Tally::new();
        let count = ran.clone();
        let one_more = spawn_blocking(move || {
            count.add();
            thread::current().name().map(str::to_owned)
        });
        #[cfg(target_os = "linux")]
        {
            // The main thread and a sanitizer's threads have the program's name, which also begins with blocking-.
            let threads = std::fs::read_dir("/proc/self/task").unwrap().map(Result::unwrap);
            let names = threads.map(|thread| std::fs::read_to_string(thread.path().join("comm")).unwrap());
            let names: Vec<_> =
                names.filter_map(|name| name.trim().strip_prefix("blocking-").map(str::to_owned)).collect();
            let is_one = |name: &&String| (0..=BOUND).any(|number| number.to_string() == **name);
            let respawners = names.iter().filter(|name| name.starts_with("resp")).count();
            assert_eq!((names.iter().filter(is_one).count(), respawners), (BOUND, 1), "{names:?}");
        }
        assert_eq!((ran.get(), one_more.is_finished()), (0, false));
        gate.open();
        let thread = one_more.join().unwrap().expect("a name");
        assert!(thread.strip_prefix("blocking-").unwrap().parse::<usize>().unwrap() < BOUND, "{thread}");
        occupants.into_iter().for_each(|occupant| assert_eq!(occupant.join().unwrap(), "through"));
    });
}

#[test]
fn a_shutdown_says_what_still_runs_and_is_for_good() {
    alone("a_shutdown_says_what_still_runs_and_is_for_good", &[], || {
        watched!();
        let bad = configure(builder().max_threads(0)).unwrap_err();
        assert_eq!(bad.kind(), ErrorKind::InvalidInput);
        configure(builder().max_threads(7)).unwrap();
        // The last one wins.
        configure(builder().max_threads(1)).unwrap();
        let gate = Gate::new();
        let occupant = occupy(&gate);
        let late = configure(builder()).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::AlreadyExists);

        let waiting = spawn_blocking(|| ());
        let left = shutdown_timeout(BRIEF).unwrap_err();
        assert_eq!((left.tasks().len(), left.threads()), (1, 1), "{left}");
        assert_eq!(left.tasks()[0].id(), occupant.id());
        assert!(is_here(left.tasks()[0].location()), "{left}");
        assert!(waiting.is_finished() && waiting.join().unwrap_err().is_shutdown());
        assert!(shutdown_timeout(Duration::ZERO).is_err(), "it still runs");

        assert!(spawn_blocking(|| ()).join().unwrap_err().is_shutdown());
        let panic = catch_unwind(|| block_on(unblock(|| ()))).unwrap_err();
        assert!(message(&*panic).contains("when its executor shut down"), "{}", message(&*panic));
        gate.open();
        assert_eq!(occupant.join().unwrap(), "through");
        assert_eq!(shutdown_timeout(LONG), Ok(()));
    });
}

#[test]
fn shut_down_before_its_first_use_it_never_starts() {
    alone("shut_down_before_its_first_use_it_never_starts", &[], || {
        watched!();
        assert_eq!(shutdown_timeout(Duration::ZERO), Ok(()));
        assert!(spawn_blocking(|| ()).join().unwrap_err().is_shutdown());
        assert_eq!(configure(builder()).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(shutdown_timeout(Duration::MAX), Ok(()));
    });
}

/// Runs in a process whose threads would need stacks larger than the address space: none can be started.
#[cfg(target_os = "linux")]
#[test]
fn without_a_thread_the_handle_says_so_and_unblock_panics() {
    let too_large = (1_u64 << 47).to_string();
    let env = [("RUST_MIN_STACK", too_large.as_str())];
    alone("without_a_thread_the_handle_says_so_and_unblock_panics", &env, || {
        for _ in 0..3 {
            let (dropped, ran) = (Tally::new(), Tally::new());
            let (on_drop, run) = (dropped.on_drop(), ran.clone());
            let error = spawn_blocking(move || (run.add(), drop(on_drop))).join().unwrap_err();
            assert!(error.is_rejected() && !error.is_shutdown(), "{error}");
            assert_eq!((ran.get(), dropped.get()), (0, 1));
            let panic = catch_unwind(|| block_on(unblock(|| ()))).unwrap_err();
            let told = message(&*panic);
            assert!(told.contains("blocking work has not run") && told.contains(file!()), "{told}");
        }
    });
}
