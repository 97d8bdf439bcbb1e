//! Task-locals where there is no task: what they do on any executor is in the conformance suite.

use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use polyexec_core::block_on;
use polyexec_futures::{LocalKey, inherit, task_local};

task_local! {
    /// Documented, and public.
    pub static NUMBER: usize;
    static LIST: Mutex<Vec<usize>>;
}

fn number() -> Option<usize> {
    NUMBER.try_with(|number| *number).ok()
}

#[test]
fn keys_of_one_type_and_name_are_two() {
    fn other() -> &'static LocalKey<usize> {
        task_local!(static NUMBER: usize);
        &NUMBER
    }
    let both = NUMBER.scope(1, other().scope(2, async { (NUMBER.get(), other().get()) }));
    assert_eq!(block_on(both), (1, 2));
    assert!(block_on(NUMBER.scope(1, async { other().try_with(|_| ()) })).is_err());
    assert_eq!(format!("{NUMBER:?}"), r#"LocalKey("NUMBER")"#);
}

#[test]
fn a_value_is_set_in_each_poll_and_in_the_drop_and_nowhere_else() {
    struct Sees<'a>(&'a Mutex<Vec<Option<usize>>>);
    impl Drop for Sees<'_> {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(number());
        }
    }
    let seen = Mutex::default();
    let mut cx = Context::from_waker(Waker::noop());
    for polls in 0..3 {
        let sees = Sees(&seen);
        let mut future = Box::pin(NUMBER.scope(polls, async {
            let _sees = sees;
            pending::<()>().await;
        }));
        for _ in 0..polls {
            assert!(future.as_mut().poll(&mut cx).is_pending());
            assert_eq!(number(), None);
        }
    }
    assert_eq!(*seen.lock().unwrap(), [Some(0), Some(1), Some(2)]);
    // By a panic, too.
    let mut panics = pin!(NUMBER.scope(3, poll_fn(|_| -> Poll<()> { resume_unwind(Box::new(())) })));
    assert!(catch_unwind(AssertUnwindSafe(|| panics.as_mut().poll(&mut cx))).is_err());
    assert_eq!(number(), None);
}

#[test]
fn a_look_may_set_read_and_inherit() {
    let sum = LIST.scope(Mutex::new(vec![1]), async {
        LIST.with(|list| {
            let nested =
                LIST.scope(Mutex::new(vec![10]), inherit(async { LIST.with(|inner| inner.lock().unwrap()[0]) }));
            // It inherits where it is made, which is outside of the inner scope.
            list.lock().unwrap().push(2);
            assert!(LIST.try_with(|same| same.try_lock().is_ok()).unwrap());
            block_on(nested)
        })
    });
    assert_eq!(block_on(sum), 1);
    // Nothing there, nothing to inherit; and it may be shared by several.
    assert_eq!(block_on(inherit(async { number() })), None);
    let shared =
        NUMBER.scope(7, async { [inherit(ready(())), inherit(ready(()))].map(|each| (block_on(each), number())) });
    assert_eq!(block_on(shared), [((), Some(7)); 2]);
}

#[test]
fn what_isnt_set_is_named() {
    let panic = catch_unwind(|| NUMBER.get()).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"the task-local `NUMBER` isn't set here".to_owned()));
}
