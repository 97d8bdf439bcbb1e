//! A set of tasks that are joined in the order of their ends. `ended` says which have ended, `limit` who may run.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use polyexec_core::executor::{Boxed, is_large};
use polyexec_core::task::poll_proceed;
use polyexec_core::{AbortHandle, Executor, JoinError, JoinHandle};
use slab::Slab;

use ended::Ended;
use limit::{Limit, Limited};

mod ended;
mod limit;

/// A set of tasks whose results have one type. The results come in the order in which the tasks end.
///
/// A task that ends puts itself on a list, so that the set never looks at those that still run: a result costs the same,
/// however many tasks there are.
///
/// It works on every executor, and a set may have tasks of several. As a [`Stream`](futures_core::Stream), it gives the same as
/// [`join_next`](JoinSet::join_next).
///
/// # What dropping does
///
/// Aborts the tasks that are left. [`detach_all`](JoinSet::detach_all) lets them go on; [`shutdown`](JoinSet::shutdown) waits
/// for their end.
///
/// # Examples
///
/// ```
/// use polyexec_futures::JoinSet;
///
/// async fn sum_of_squares() -> u64 {
///     let mut set = JoinSet::new();
///     for n in 1..=3 {
///         set.spawn(async move { n * n });
///     }
///     let mut sum = 0;
///     while let Some(square) = set.join_next().await {
///         sum += square.expect("no task panics");
///     }
///     sum
/// }
/// # let local = polyexec_local::Local::new();
/// # assert_eq!(local.block_on(sum_of_squares()), 14);
/// ```
#[must_use = "dropping a set aborts its tasks"]
pub struct JoinSet<T> {
    tasks: Slab<JoinHandle<T>>,
    /// Where the tasks push their keys.
    ended: Arc<Ended>,
    /// Taken from `ended` many at a time, so that its lock is seldom taken.
    batch: VecDeque<usize>,
    limit: Option<Arc<Limit>>,
}

impl<T> JoinSet<T> {
    /// An empty set. Its tasks begin when they are spawned.
    pub fn new() -> Self {
        Self::of(None)
    }

    /// An empty set of which at most `limit` tasks run at a time.
    ///
    /// [`spawn`](JoinSet::spawn) never waits. A task beyond the limit is spawned, too, but its future is first polled when another
    /// one has ended. They begin in the order of their spawns. [`room`](JoinSet::room) waits until a task would begin at once.
    ///
    /// # Examples
    ///
    /// No more than two at a time, however many there are:
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    ///
    /// use polyexec_futures::{JoinSet, yield_now};
    ///
    /// static RUNNING: AtomicUsize = AtomicUsize::new(0);
    ///
    /// async fn run() {
    ///     let mut set = JoinSet::with_limit(2);
    ///     for _ in 0..100 {
    ///         set.spawn(async {
    ///             assert!(RUNNING.fetch_add(1, SeqCst) < 2);
    ///             yield_now().await;
    ///             RUNNING.fetch_sub(1, SeqCst);
    ///         });
    ///     }
    ///     for result in set.join_all().await {
    ///         result.unwrap();
    ///     }
    /// }
    /// # polyexec_local::Local::new().block_on(run());
    /// ```
    ///
    /// # Panics
    ///
    /// If `limit` is zero: no task would ever begin.
    #[track_caller]
    pub fn with_limit(limit: usize) -> Self {
        assert!(limit > 0, "a JoinSet with a limit of 0 would never begin a task");
        Self::of(Some(limit))
    }

    fn of(limit: Option<usize>) -> Self {
        let limit = limit.map(|most| Arc::new(Limit::new(most)));
        Self { tasks: Slab::new(), ended: Arc::default(), batch: VecDeque::new(), limit }
    }

    /// The number of tasks whose results weren't taken yet: those that wait, those that run, those that have ended.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is no task whose result wasn't taken yet.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Adds a task that exists already, and returns a handle that aborts it.
    ///
    /// For what the set can't spawn itself: tasks with futures that aren't `Send`, tasks with names, blocking work. Such a task
    /// doesn't wait for its turn if the set has a limit, but [`room`](JoinSet::room) counts it.
    ///
    /// A handle whose result was taken already makes [`join_next`](JoinSet::join_next) panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::rc::Rc;
    ///
    /// use polyexec_futures::JoinSet;
    /// use polyexec_local::Local;
    ///
    /// let local = Local::new();
    /// let mut set = JoinSet::new();
    /// let not_send = Rc::new(6);
    /// set.insert(local.spawn_local(async move { *not_send * 7 }));
    /// assert_eq!(local.block_on(set.join_next()).unwrap().unwrap(), 42);
    /// ```
    pub fn insert(&mut self, mut task: JoinHandle<T>) -> AbortHandle {
        let abort_handle = task.abort_handle();
        let entry = self.tasks.vacant_entry();
        let key = entry.key();
        let finished = task.poll_finished(&mut Context::from_waker(&self.ended.waker(key)));
        entry.insert(task);
        if finished.is_ready() {
            self.ended.push(key);
        }
        abort_handle
    }

    /// Waits until a task has ended, and returns its result. `None` if the set is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_futures::JoinSet;
    ///
    /// # let local = polyexec_local::Local::new();
    /// # local.block_on(async {
    /// let mut set = JoinSet::new();
    /// let aborter = set.spawn(std::future::pending::<()>());
    /// aborter.abort();
    /// let error = set.join_next().await.unwrap().unwrap_err();
    /// assert!(error.is_cancelled() && error.id() == aborter.id());
    /// assert!(set.join_next().await.is_none());
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, it has taken no result.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](JoinSet::join_next), for futures that are written by hand.
    ///
    /// Of several calls that were pending, also of [`poll_room`](JoinSet::poll_room), the newest waker is woken.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        if self.tasks.is_empty() {
            return Poll::Ready(None);
        }
        loop {
            if let Some(key) = self.next_ended() {
                return self.poll_take(key, cx).map(Some);
            }
            if self.ended.poll(cx.waker(), |ended| ended > 0).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Returns the result of a task that has ended. `None` if there is none, or if the set is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_futures::{JoinSet, yield_now};
    ///
    /// # let local = polyexec_local::Local::new();
    /// # local.block_on(async {
    /// let mut set = JoinSet::new();
    /// set.spawn(async { 42 });
    /// let result = loop {
    ///     match set.try_join_next() {
    ///         Some(result) => break result,
    ///         None => yield_now().await,
    ///     }
    /// };
    /// assert_eq!(result.unwrap(), 42);
    /// # });
    /// ```
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        let key = self.next_ended()?;
        // A waker that does nothing is never refused for its budget.
        match self.poll_take(key, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// Waits until fewer tasks run, or wait for their turn, than the limit allows. Ready at once in a set without a limit.
    ///
    /// A producer that waits here before each spawn never has more than `limit` futures at a time. Tasks that have ended don't
    /// count, so it may take their results or not.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_core::JoinError;
    /// use polyexec_futures::JoinSet;
    ///
    /// async fn visit(lines: impl Iterator<Item = String>) -> Result<usize, JoinError> {
    ///     let mut set = JoinSet::with_limit(16);
    ///     let mut words = 0;
    ///     for line in lines {
    ///         set.room().await;
    ///         set.spawn(async move { line.split_whitespace().count() });
    ///         while let Some(count) = set.try_join_next() {
    ///             words += count?; // Dropping the set aborts the others.
    ///         }
    ///     }
    ///     while let Some(count) = set.join_next().await {
    ///         words += count?;
    ///     }
    ///     Ok(words)
    /// }
    /// # let lines = (0..100).map(|n| format!("line {n}"));
    /// # assert_eq!(polyexec_local::Local::new().block_on(visit(lines)).unwrap(), 200);
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn room(&mut self) {
        poll_fn(|cx| {
            ready!(self.poll_room(cx));
            ready!(poll_proceed(cx)).made_progress();
            Poll::Ready(())
        })
        .await;
    }

    /// As [`room`](JoinSet::room), for futures that are written by hand.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = &self.limit else { return Poll::Ready(()) };
        let left = self.tasks.len() - self.batch.len();
        self.ended.poll(cx.waker(), |ended| left - ended < limit.most())
    }

    /// Waits until all tasks have ended, and returns their results, in the order of the ends.
    ///
    /// # Examples
    ///
    /// A panic or an abort of one leaves the results of the others:
    ///
    /// ```
    /// use polyexec_futures::JoinSet;
    ///
    /// # polyexec_local::Local::new().block_on(async {
    /// let mut set = JoinSet::new();
    /// set.spawn(async { 1 });
    /// set.spawn(async { 2 });
    /// let results: Result<Vec<_>, _> = set.join_all().await.into_iter().collect();
    /// assert_eq!(results.unwrap(), [1, 2]);
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping it drops the set and the results so far.
    pub async fn join_all(mut self) -> Vec<Result<T, JoinError>> {
        let mut results = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            results.push(result);
        }
        results
    }

    /// Asks the executors to drop all futures instead of polling them again. Returns at once.
    ///
    /// The tasks stay in the set. Their results come as before; of those that hadn't ended, they are cancelled.
    pub fn abort_all(&mut self) {
        for (_, task) in &self.tasks {
            task.abort();
        }
    }

    /// Removes all tasks from the set. They go on, and their outputs are dropped.
    ///
    /// Tasks that wait for their turn still wait for those before them. The tasks that are spawned next don't wait for these.
    pub fn detach_all(&mut self) {
        let empty = Self::of(self.limit.as_ref().map(|limit| limit.most()));
        // A late end pushes its key to the list that goes away here.
        std::mem::replace(self, empty).tasks.clear();
    }

    /// Aborts all tasks, waits until they have ended, and drops their results.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it leaves tasks in the set that were aborted. It may be called again.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// The key of the task that has ended first, of those not taken yet.
    fn next_ended(&mut self) -> Option<usize> {
        if self.batch.is_empty() {
            self.ended.swap(&mut self.batch);
        }
        self.batch.pop_front()
    }

    /// Takes the result of a task that has ended. Pending if the budget of this poll is spent; then the task is the next one again.
    fn poll_take(&mut self, key: usize, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let result = Pin::new(&mut self.tasks[key]).poll(cx);
        match result {
            Poll::Ready(_) => drop(self.tasks.remove(key)),
            Poll::Pending => self.batch.push_front(key),
        }
        result
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// Spawns `future` on the current executor, and returns a handle that aborts it.
    ///
    /// That is the executor whose task or `block_on` this thread runs. Elsewhere, and if the executor refuses the task,
    /// [`join_next`](JoinSet::join_next) returns an error that says why.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        if const { is_large::<F>() } {
            return self.spawn_small(Boxed::from(Box::new(future)));
        }
        self.spawn_small(future)
    }

    #[track_caller]
    fn spawn_small<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        let future = self.limited(future);
        self.insert(polyexec_core::spawn(future))
    }

    /// Spawns `future` on `executor`, and returns a handle that aborts it. If the executor refuses the task,
    /// [`join_next`](JoinSet::join_next) returns an error that says why.
    #[track_caller]
    pub fn spawn_on<E, F>(&mut self, executor: &E, future: F) -> AbortHandle
    where
        E: Executor + Clone,
        F: Future<Output = T> + Send + 'static,
    {
        if const { is_large::<F>() } {
            return self.spawn_small_on(executor, Boxed::from(Box::new(future)));
        }
        self.spawn_small_on(executor, future)
    }

    #[track_caller]
    fn spawn_small_on<E, F>(&mut self, executor: &E, future: F) -> AbortHandle
    where
        E: Executor + Clone,
        F: Future<Output = T> + Send + 'static,
    {
        let future = self.limited(future);
        self.insert(executor.spawn(future))
    }

    fn limited<F>(&self, future: F) -> Limited<F> {
        Limited::new(future, self.limit.as_ref().map(Limit::turn))
    }
}

impl<T> futures_core::Stream for JoinSet<T> {
    type Item = Result<T, JoinError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_join_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit.as_ref().map(|limit| limit.most());
        f.debug_struct("JoinSet").field("len", &self.len()).field("limit", &limit).finish()
    }
}
