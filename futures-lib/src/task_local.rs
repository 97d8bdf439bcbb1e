//! Values that belong to a task, as thread-locals belong to a thread. Knows no executor: a future sets them in each poll.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread_local;

use pin_project_lite::pin_project;
use polyexec_core::TaskId;

/// Declares [`LocalKey`]s, as [`thread_local!`](std::thread_local) does for threads. A value must be `Send + Sync`.
///
/// # Examples
///
/// ```
/// polyexec_futures::task_local! {
///     /// Who asked for what this task does.
///     pub static USER: String;
///     static ATTEMPT: u32;
/// }
///
/// async fn log(what: &str) -> String {
///     USER.with(|user| format!("{user}: {what} (attempt {})", ATTEMPT.get()))
/// }
///
/// let work = USER.scope("ann".to_owned(), ATTEMPT.scope(1, log("read")));
/// assert_eq!(polyexec_core::block_on(work), "ann: read (attempt 1)");
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty);* $(;)?) => {$(
        $(#[$attribute])*
        $visibility static $name: $crate::LocalKey<$type> = $crate::LocalKey::__new(stringify!($name));
    )*};
}

/// A task-local: a value that code finds in whichever task runs it. Declared by [`task_local!`].
///
/// [`scope`](LocalKey::scope) sets the value for one future. A task that this future spawns doesn't have it, unless it
/// [inherits](inherit) it.
pub struct LocalKey<T: 'static> {
    name: Name,
    value: PhantomData<fn() -> T>,
}

/// Identifies a key by its address.
struct Name(&'static str);

impl<T> LocalKey<T> {
    #[doc(hidden)]
    pub const fn __new(name: &'static str) -> Self {
        Self { name: Name(name), value: PhantomData }
    }
}

impl<T: Send + Sync> LocalKey<T> {
    /// Runs `future` with this value, which hides an outer one of the same key.
    ///
    /// The future has it in each poll, and when it is dropped. It also keeps the values of other keys that its first poll
    /// finds.
    ///
    /// # Examples
    ///
    /// ```
    /// polyexec_futures::task_local!(static DEPTH: u32);
    ///
    /// let nested = DEPTH.scope(1, async {
    ///     let inner = DEPTH.scope(DEPTH.get() + 1, async { DEPTH.get() }).await;
    ///     (DEPTH.get(), inner)
    /// });
    /// assert_eq!(polyexec_core::block_on(nested), (1, 2));
    /// assert!(DEPTH.try_with(|_| ()).is_err());
    /// ```
    ///
    /// # Panics
    ///
    /// When polled, if `future` does, or if it was ready before.
    ///
    /// # Cancel safety
    ///
    /// That of `future`.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> WithValues<F> {
        let value = Value { key: &self.name, value: Arc::new(value) };
        WithValues { added: Some(value), values: None, future: Some(future) }
    }

    /// Calls `look` with the value. The value may be set, read and inherited meanwhile.
    ///
    /// # Panics
    ///
    /// If there is none here, or if `look` does.
    #[track_caller]
    pub fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        self.try_with(look).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`with`](LocalKey::with), but says whether there is a value.
    ///
    /// # Errors
    ///
    /// There is none: no future around this code has set it, or the thread's locals are being destroyed.
    ///
    /// # Panics
    ///
    /// If `look` does.
    pub fn try_with<R>(&'static self, look: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let found = current().and_then(|values| {
            let own = values.iter().find(|value| ptr::eq(value.key, &self.name))?;
            own.value.clone().downcast::<T>().ok()
        });
        found.map(|value| look(&value)).ok_or(AccessError { name: self.name.0 })
    }

    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// If there is none here.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalKey").field(&self.name.0).finish()
    }
}

/// Runs `future` with the task-locals that are set where this is called, for a task that is about to be spawned.
///
/// The tasks share the values. Without this, a task begins without any.
///
/// # Examples
///
/// ```
/// use polyexec_core::{Executor, JoinError};
/// use polyexec_futures::{inherit, task_local};
///
/// task_local!(static USER: &'static str);
///
/// /// Who the child works for.
/// async fn asked_by(executor: &(impl Executor + Clone)) -> Result<&'static str, JoinError> {
///     USER.scope("ann", async { executor.spawn(inherit(async { USER.get() })).await }).await
/// }
/// ```
///
/// # Panics
///
/// When polled, if `future` does, or if it was ready before.
///
/// # Cancel safety
///
/// That of `future`.
pub fn inherit<F: Future>(future: F) -> WithValues<F> {
    WithValues { added: None, values: current(), future: Some(future) }
}

/// There is no value of this key here. Says which key.
///
/// # Examples
///
/// ```
/// polyexec_futures::task_local!(static USER: String);
///
/// let error = USER.try_with(String::len).unwrap_err();
/// assert_eq!(error.to_string(), "the task-local `USER` isn't set here");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessError {
    name: &'static str,
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the task-local `{}` isn't set here", self.name)
    }
}

impl Error for AccessError {}

pin_project! {
    /// A future with task-locals: of [`LocalKey::scope`] and of [`inherit`].
    ///
    /// # What dropping does
    ///
    /// Drops the future, with the values set.
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct WithValues<F> {
        // Joins `values` at the first poll.
        added: Option<Value>,
        // During a poll, those of the code around it.
        values: Option<Values>,
        // `None` during and after the drop.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for WithValues<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _inside = Inside::enter(this.added, this.values);
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for WithValues<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _inside = Inside::enter(this.added, this.values);
        match this.future.as_pin_mut() {
            Some(future) => future.poll(cx),
            None => unreachable!("only the drop takes it"),
        }
    }
}

impl<F> fmt::Debug for WithValues<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithValues").finish_non_exhaustive()
    }
}

/// One value of a key. Tasks share it.
#[derive(Clone)]
struct Value {
    key: &'static Name,
    value: Arc<dyn Any + Send + Sync>,
}

/// At most one value of each key, so that it stays small however long a chain of tasks inherits.
type Values = Arc<[Value]>;

/// What code finds on this thread.
#[derive(Default)]
struct Current {
    /// The task whose poll has set `values`. A task that runs inside another one's poll, which blocks, doesn't find them.
    task: Option<TaskId>,
    values: Option<Values>,
}

thread_local!(static CURRENT: Cell<Current> = const { Cell::new(Current { task: None, values: None }) });

/// The values that are set for the code that calls this.
fn current() -> Option<Values> {
    let look = |current: &Cell<Current>| {
        let now = current.take();
        let values = if now.task == TaskId::current() { now.values.clone() } else { None };
        current.set(now);
        values
    };
    CURRENT.try_with(look).ok().flatten()
}

/// `outer` with `added`.
fn join(outer: Option<Values>, added: Value) -> Values {
    let others = outer.iter().flat_map(|outer| outer.iter()).filter(|value| !ptr::eq(value.key, added.key));
    others.cloned().chain([added.clone()]).collect()
}

/// Keeps a future's values set until it is dropped, and then restores those of before.
struct Inside<'a> {
    values: &'a mut Option<Values>,
    /// The task of before.
    task: Option<TaskId>,
}

impl<'a> Inside<'a> {
    fn enter(added: &mut Option<Value>, values: &'a mut Option<Values>) -> Self {
        if let Some(added) = added.take() {
            *values = Some(join(current(), added));
        }
        let task = swap(TaskId::current(), values);
        Self { values, task }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        swap(self.task, self.values);
    }
}

/// Exchanges the current values and `values`. Returns the task of the former.
fn swap(task: Option<TaskId>, values: &mut Option<Values>) -> Option<TaskId> {
    let exchange = |current: &Cell<Current>| {
        let before = current.replace(Current { task, values: values.take() });
        *values = before.values;
        before.task
    };
    // While the thread's locals are destroyed, nothing is set.
    CURRENT.try_with(exchange).unwrap_or_default()
}
