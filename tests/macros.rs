//! `#[polyexec::main]` and `#[polyexec::test]`, as programs use them. Their error messages are in `macros/tests/errors.rs`.

#![deny(warnings)]

use std::future::pending;
use std::num::ParseIntError;
use std::process::{Command, ExitCode, Output, Termination};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use polyexec::{Handle, spawn, yield_now};

/// The name of the thread that runs a task of the current executor.
async fn thread_of_a_task() -> String {
    let task = spawn(async {
        yield_now().await;
        thread::current().name().unwrap_or_default().to_owned()
    });
    task.await.unwrap()
}

#[polyexec::test]
async fn a_test_without_options_is_on_the_default_executor() {
    assert_eq!(format!("{:?}", Handle::current().unwrap()), format!("{:?}", Handle::new(polyexec::DefaultExecutor)));
    thread_of_a_task().await;
}

#[polyexec::test(executor = "pool")]
async fn a_test_on_a_pool() {
    assert!(thread_of_a_task().await.starts_with("pool-"));
}

/// [`a_pool_has_as_many_workers_as_its_option_says`] runs it, alone in a process.
#[cfg(target_os = "linux")]
#[polyexec::test(executor = "pool", worker_threads = 3)]
#[ignore = "counts the threads of the process"]
async fn a_test_on_three_workers() {
    polyexec_conformance::watched!();
    let workers = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let names = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")).unwrap());
        names.filter_map(|name| name.trim().strip_prefix("pool-")?.parse::<usize>().ok()).count()
    };
    // A thread names itself when it runs.
    while workers() < 3 {
        yield_now().await;
    }
    assert_eq!(workers(), 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_pool_has_as_many_workers_as_its_option_says() {
    let output = run_ignored("a_test_on_three_workers");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[polyexec::test(executor = "threaded")]
async fn a_test_on_threads() {
    assert!(thread_of_a_task().await.starts_with("threaded-"));
}

#[polyexec::test(executor = "local")]
async fn a_test_on_its_own_thread() {
    assert_eq!(thread_of_a_task().await, thread::current().name().unwrap());
}

#[polyexec::test(executors = "all", worker_threads = 1_0usize)]
async fn on_each() {
    let on = thread_of_a_task().await;
    let here = thread::current().name().unwrap().to_owned();
    let executor = here.strip_prefix("on_each_").expect("the test has its executor's name");
    assert!(if executor == "local" { on == here } else { on.starts_with(executor) }, "{executor}: {on}");
}

#[polyexec::test(executors = "all")]
async fn r#match() {}

#[polyexec::test]
async fn a_result_may_be_good() -> Result<(), ParseIntError> {
    let number: u32 = "42".parse()?;
    assert_eq!(number, 42);
    Ok(())
}

/// Fails: [`a_test_fails_as_any_other`] runs it.
#[polyexec::test(executors = "all")]
#[ignore = "fails"]
async fn a_result_may_be_bad() -> Result<(), ParseIntError> {
    let _: u32 = "forty-two".parse()?;
    Ok(())
}

#[polyexec::test(executors = "all")]
#[should_panic(expected = "on purpose")]
async fn a_panic_may_be_expected() {
    yield_now().await;
    panic!("on purpose");
}

/// Fails, since it doesn't panic.
#[polyexec::test]
#[ignore = "fails"]
#[should_panic]
async fn a_panic_may_be_missing() {}

#[polyexec::test]
async fn what_returns_may_be_opaque() -> impl Termination {
    ExitCode::SUCCESS
}

/// Lints reach the body, and the function itself is the body's to call.
#[polyexec::test]
#[expect(unused_variables)]
async fn attributes_hold_inside() {
    #![expect(unused_mut)]
    let mut unused = 0;
}

#[polyexec::test]
async fn the_body_need_not_be_send() {
    let here = Rc::new(1);
    yield_now().await;
    assert_eq!(Rc::strong_count(&here), 1);
}

#[polyexec::main]
async fn a_main_may_be_called() -> usize {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    match CALLS.fetch_add(1, SeqCst) {
        // Here it is the async one.
        0 => Box::pin(a_main_may_be_called()).await + 1,
        calls => calls,
    }
}

#[test]
fn a_main_returns_what_its_body_does() {
    assert_eq!(a_main_may_be_called(), 2);
}

/// Counts the guards that live.
static GUARDS: AtomicUsize = AtomicUsize::new(0);

struct Guard;

impl Guard {
    fn new() -> Self {
        GUARDS.fetch_add(1, SeqCst);
        Self
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        GUARDS.fetch_sub(1, SeqCst);
    }
}

async fn leave_a_task() -> usize {
    let guard = Guard::new();
    drop(spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    GUARDS.load(SeqCst)
}

#[polyexec::main(executor = "pool", worker_threads = 2)]
async fn on_a_pool() -> usize {
    leave_a_task().await
}

#[polyexec::main(executor = "threaded")]
async fn on_threads() -> usize {
    leave_a_task().await
}

#[polyexec::main(executor = "local")]
async fn on_this_thread() -> usize {
    leave_a_task().await
}

#[test]
fn at_the_end_the_executor_is_shut_down() {
    for main in [on_a_pool, on_threads, on_this_thread] {
        assert_eq!(main(), 1);
        assert_eq!(GUARDS.load(SeqCst), 0);
    }
}

/// As a crate that re-exports polyexec under another name.
mod framework {
    pub(crate) use polyexec as runtime;
}

#[polyexec::test(crate = "crate::framework::runtime", executor = "local")]
async fn polyexec_may_be_elsewhere() {
    assert!(Handle::current().is_some());
}

/// What a macro passes on is in invisible groups.
macro_rules! tests {
    ($($visibility:vis $name:ident on $executor:literal -> $output:ty $body:block)*) => {
        $(
            #[polyexec::test(executor = $executor)]
            $visibility async fn $name() -> $output $body
        )*
    };
    ($item:item) => {
        #[polyexec::test]
        $item
    };
}

tests! {
    made_by_a_macro on "local" -> Result<(), ParseIntError> { Ok(()) }
}
tests! {
    async fn taken_whole_from_a_macro() {}
}

mod inner {
    tests! {
        pub(crate) seen_outside on "pool" -> () {}
    }

    #[polyexec::main]
    pub(crate) async fn seen_as_well() {}
}

#[test]
fn visibility_stays() {
    inner::seen_outside();
    inner::seen_as_well();
}

fn run_ignored(test: &str) -> Output {
    let mut this = Command::new(std::env::current_exe().unwrap());
    this.args(["--ignored", "--exact", test]).output().unwrap()
}

#[test]
fn a_test_fails_as_any_other() {
    let fails = [
        ("a_result_may_be_bad_pool", "ParseIntError"),
        ("a_result_may_be_bad_local", "ParseIntError"),
        ("a_panic_may_be_missing", "test did not panic as expected"),
    ];
    for (test, why) in fails {
        let output = run_ignored(test);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success(), "{test}");
        assert!(text.contains("0 passed; 1 failed") && text.contains(why), "{text}");
    }
}

#[test]
fn each_executor_has_a_test_of_its_name() {
    let list = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    for name in ["on_each", "match", "a_panic_may_be_expected"] {
        let prefix = format!("{name}_");
        let mut tests: Vec<_> = list.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        tests.sort_unstable();
        assert_eq!(tests, ["local: test", "pool: test", "threaded: test"], "{name}");
        assert!(!list.lines().any(|line| line == format!("{name}: test")));
    }
}
