//! Scopes: tasks that end before the function that spawned them. `children` and `child` are the parts, `run` polls a scope.

use std::fmt;
use std::sync::Arc;

use polyexec_core::executor::{Boxed, is_large};
use polyexec_core::{Executor, JoinError};

pub use child::ScopedHandle;

use child::Child;
use children::Children;

mod child;
mod children;
mod run;

/// Runs `body`, which spawns children. Returns the body's output when all children have ended.
///
/// If a child panics, or an executor refuses or drops it, the body is dropped and the other children are aborted. When they have
/// ended, the first failure is returned. [`Scope::keep_going`] lets the others come to their end first. For children that return
/// a `Result`, see [`try_scope`].
///
/// Children are tasks like any other: they run in parallel where their executor does, and their futures are `'static`. `body`
/// may borrow. [`Executor::scope`] blocks, and so its children may borrow, too.
///
/// A child that never ends keeps the scope from its end. [`Scope::abort_all`] at the body's end is for children that serve the
/// others, or tell them to stop by a [`CancellationToken`](crate::CancellationToken). Neither ends a child whose poll doesn't
/// return: the pool reports such a poll to its hook `on_stall`, and the report names the child.
///
/// # What dropping does
///
/// Dropped before it is ready, it aborts all children. Their executors drop them soon after.
///
/// # Examples
///
/// ```
/// use polyexec_futures::scope;
///
/// async fn sum(numbers: &[u64]) -> u64 {
///     let sum = scope(async |s| {
///         let handles: Vec<_> = numbers.iter().map(|&n| s.spawn(async move { n * n })).collect();
///         let mut sum = 0;
///         for handle in handles {
///             sum += handle.await.expect("the scope fails if a child does");
///         }
///         sum
///     });
///     sum.await.expect("no child panics")
/// }
/// # assert_eq!(polyexec_local::Local::new().block_on(sum(&[1, 2, 3])), 14);
/// ```
///
/// # Errors
///
/// The first failure of a child: it panicked, its executor refused it, or that has shut down.
///
/// # Panics
///
/// If `body` does. The children are aborted, and have ended by then.
///
/// # Cancel safety
///
/// Not cancel safe: see above.
pub async fn scope<F: Future>(body: impl FnOnce(Scope) -> F) -> Result<F::Output, JoinError> {
    let children = Children::new();
    let scope = Scope(children.clone());
    // A plain closure may spawn and panic before it returns its future: that is a part of the body's first poll.
    run::run(children, async { body(scope).await }, Ok).await
}

/// As [`scope`], for a body and children that return a `Result`. The first error cancels the rest, and is returned.
///
/// A child's panic, or that its executor refused it, becomes an error by `From<JoinError>`: `std::io::Error` has it, and boxed
/// errors have it.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use polyexec_futures::try_scope;
///
/// async fn read(number: u32) -> io::Result<u32> {
///     if number == 3 { Err(io::ErrorKind::NotFound.into()) } else { std::future::pending().await }
/// }
///
/// # polyexec_local::Local::new().block_on(async {
/// let all = try_scope(async |s| {
///     for number in 0..5 {
///         s.spawn(read(number));
///     }
///     Ok(())
/// });
/// // The other four, which would wait for ever, are cancelled.
/// let error: io::Error = all.await.unwrap_err();
/// assert_eq!(error.kind(), io::ErrorKind::NotFound);
/// # });
/// ```
///
/// # Errors
///
/// The first error of the body, or of a child.
///
/// # Panics
///
/// If `body` does. The children are aborted, and have ended by then.
///
/// # Cancel safety
///
/// Not cancel safe: dropped early, it aborts all children.
pub async fn try_scope<F, T, E>(body: impl FnOnce(TryScope<E>) -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: From<JoinError>,
{
    let children = Children::new();
    let scope = TryScope(children.clone());
    run::run(children, async { body(scope).await }, |result| result).await
}

/// Spawns the children of a [`scope`]. A clone may go to a child, which then spawns siblings.
///
/// For children that borrow, a blocking scope has a type of its own: [`Scope<'scope, 'env>`](polyexec_core::task::Scope).
///
/// # What dropping does
///
/// Nothing to the children.
pub struct Scope(Arc<Children<JoinError>>);

/// Spawns the children of a [`try_scope`]. A clone may go to a child, which then spawns siblings.
///
/// # What dropping does
///
/// Nothing to the children.
pub struct TryScope<E>(Arc<Children<E>>);

impl Scope {
    /// Spawns a child on the current executor: that whose task or `block_on` runs here.
    ///
    /// A scope that has ended refuses: the future is dropped, and the handle gives `None`.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> ScopedHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return spawn(&self.0, Boxed::from(Box::new(future)), Ok);
        }
        spawn(&self.0, future, Ok)
    }

    /// As [`spawn`](Scope::spawn), on `executor`.
    #[track_caller]
    pub fn spawn_on<X, F>(&self, executor: &X, future: F) -> ScopedHandle<F::Output>
    where
        X: Executor + Clone,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return spawn_on(&self.0, executor, Boxed::from(Box::new(future)), Ok);
        }
        spawn_on(&self.0, executor, future, Ok)
    }

    /// From now on a failure cancels neither the body nor the other children. The first one is still returned, when all have ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_futures::{scope, yield_now};
    ///
    /// # polyexec_local::Local::new().block_on(async {
    /// let result = scope(async |s| {
    ///     s.keep_going();
    ///     let fails = s.spawn(async { std::panic::resume_unwind(Box::new("it failed")) });
    ///     let works = s.spawn(async { yield_now().await });
    ///     assert_eq!((fails.await, works.await), (None::<()>, Some(())));
    /// });
    /// assert!(result.await.unwrap_err().is_panic());
    /// # });
    /// ```
    pub fn keep_going(&self) {
        self.0.policy.keep_going();
    }

    /// Aborts all children that were spawned so far. The body goes on, and the scope doesn't fail.
    pub fn abort_all(&self) {
        self.0.abort_all();
    }
}

impl<E: Send + 'static> TryScope<E> {
    /// Spawns a child on the current executor: that whose task or `block_on` runs here. The handle gives what is in its `Ok`.
    ///
    /// A scope that has ended refuses: the future is dropped, and the handle gives `None`.
    #[track_caller]
    pub fn spawn<F, T>(&self, future: F) -> ScopedHandle<T>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
    {
        if const { is_large::<F>() } {
            return spawn(&self.0, Boxed::from(Box::new(future)), |result| result);
        }
        spawn(&self.0, future, |result| result)
    }

    /// As [`spawn`](TryScope::spawn), on `executor`.
    #[track_caller]
    pub fn spawn_on<X, F, T>(&self, executor: &X, future: F) -> ScopedHandle<T>
    where
        X: Executor + Clone,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
    {
        if const { is_large::<F>() } {
            return spawn_on(&self.0, executor, Boxed::from(Box::new(future)), |result| result);
        }
        spawn_on(&self.0, executor, future, |result| result)
    }

    /// As [`Scope::keep_going`].
    pub fn keep_going(&self) {
        self.0.policy.keep_going();
    }

    /// As [`Scope::abort_all`].
    pub fn abort_all(&self) {
        self.0.abort_all();
    }
}

#[track_caller]
fn spawn<F, T, E>(children: &Children<E>, future: F, split: fn(F::Output) -> Result<T, E>) -> ScopedHandle<T>
where
    F: Future<Output: 'static> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let Some(spawning) = children.begin_spawn() else { return ScopedHandle::refused(&children.policy) };
    let (child, handle) = Child::new(future, split, &children.policy);
    spawning.end(polyexec_core::spawn(child));
    handle
}

#[track_caller]
fn spawn_on<X, F, T, E>(
    children: &Children<E>,
    executor: &X,
    future: F,
    split: fn(F::Output) -> Result<T, E>,
) -> ScopedHandle<T>
where
    X: Executor + Clone,
    F: Future<Output: 'static> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let Some(spawning) = children.begin_spawn() else { return ScopedHandle::refused(&children.policy) };
    let (child, handle) = Child::new(future, split, &children.policy);
    spawning.end(executor.spawn(child));
    handle
}

impl Clone for Scope {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> Clone for TryScope<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for TryScope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryScope").finish_non_exhaustive()
    }
}
