//! Which executor is the default one: each case in a process of its own, since a process decides once.

use std::error::Error;
use std::future::ready;
use std::io::ErrorKind;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use polyexec::executor::{Rejected, Task};
use polyexec::{DefaultExecutor, Executor, block_on, set_default, spawn};

const VARIABLE: &str = "POLYEXEC_EXECUTOR";

/// In the order of precedence.
const COMPILED_IN: &[&str] = &[
    #[cfg(feature = "pool")]
    "pool",
    #[cfg(feature = "threaded")]
    "threaded",
    #[cfg(feature = "local")]
    "local",
];

/// Runs the rest of the test `name` in a process where the variable is `value`. `false`: this is that process.
fn in_a_process_of_its_own(name: &str, value: Option<&str>) -> bool {
    const CHILD: &str = "POLYEXEC_TEST_DEFAULT_EXECUTOR";
    if std::env::var_os(CHILD).is_some() {
        return false;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--test-threads=1"]).env(CHILD, "1").env_remove(VARIABLE);
    value.into_iter().for_each(|value| _ = child.env(VARIABLE, value));
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "with {value:?}: {said}");
    true
}

/// The default executor's name, by that of its threads.
fn name() -> String {
    let name = spawn(async { thread::current().name().unwrap_or_default().to_owned() }).join().unwrap();
    name.split('-').next().unwrap().to_owned()
}

#[cfg(any(feature = "pool", feature = "threaded", feature = "local"))]
#[test]
fn it_is_the_first_that_is_compiled_in() {
    if in_a_process_of_its_own("it_is_the_first_that_is_compiled_in", None)
        && in_a_process_of_its_own("it_is_the_first_that_is_compiled_in", Some(""))
    {
        return;
    }
    assert_eq!(name(), COMPILED_IN[0]);
}

#[test]
fn the_variable_chooses_another() {
    let processes =
        COMPILED_IN.iter().filter(|name| in_a_process_of_its_own("the_variable_chooses_another", Some(name)));
    if processes.count() == COMPILED_IN.len() {
        return;
    }
    DefaultExecutor.start().unwrap();
    assert_eq!(name(), std::env::var(VARIABLE).unwrap());
}

#[test]
fn an_unknown_name_is_an_error_for_each_task() {
    if in_a_process_of_its_own("an_unknown_name_is_an_error_for_each_task", Some("nonesuch")) {
        return;
    }
    for _ in 0..2 {
        let error = spawn(async {}).join().unwrap_err();
        assert!(error.is_rejected());
        let why = error.source().unwrap().to_string();
        let expected =
            if COMPILED_IN.is_empty() { "no default executor" } else { r#"POLYEXEC_EXECUTOR is "nonesuch""# };
        assert!(why.contains(expected) && COMPILED_IN.iter().all(|name| why.contains(name)), "{why}");
    }
    let kind = if COMPILED_IN.is_empty() { ErrorKind::Unsupported } else { ErrorKind::InvalidInput };
    assert_eq!(DefaultExecutor.start().unwrap_err().kind(), kind);
    // What needs no default executor goes on.
    assert_eq!(block_on(ready(7)), 7);
}

/// Runs each task on a thread of its own, and counts them.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Executor for Counting {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.0.fetch_add(1, SeqCst);
        self.schedule(task);
        Ok(())
    }

    fn schedule(&self, task: Task) {
        thread::spawn(|| _ = task.run());
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        polyexec_core::block_on(future);
    }
}

#[test]
fn the_program_sets_it_before_its_first_task_and_not_after() {
    const NAME: &str = "the_program_sets_it_before_its_first_task_and_not_after";
    // What the program says counts for more than the variable.
    if in_a_process_of_its_own(NAME, None) && in_a_process_of_its_own(NAME, Some("nonesuch")) {
        return;
    }
    let (first, second) = (Counting::default(), Counting::default());
    set_default(first.clone()).unwrap();
    set_default(second.clone()).unwrap();
    assert_eq!(spawn(async { 6 * 7 }).join().unwrap(), 42);
    assert_eq!(block_on(async { spawn(async { 1 }).await }).unwrap(), 1);
    DefaultExecutor.start().unwrap();
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 2));

    let error = set_default(first.clone()).unwrap_err();
    assert!(error.to_string().contains("has started already"), "{error}");
    assert_eq!(error.into_executor().spawn(async { 7 }).join().unwrap(), 7);
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (1, 2));
}
