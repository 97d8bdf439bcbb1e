//! The queue, and the handle through which tasks come to it from anywhere. Runs tasks on the home thread only.
//!
//! The home thread has a queue to itself, and needs neither lock nor notification there: it looks for itself before it
//! sleeps. What other threads bring comes to the inbox, which the home thread empties before it takes its next task; so
//! tasks run in the order in which they became ready.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Poll, Waker};

use futures_task::{FutureObj, LocalFutureObj, SpawnError as SpawnObjError};
use parking_lot::Mutex;
use polyexec_core::executor::driver::wake_all;
use polyexec_core::executor::{
    Boxed, OwnedTasks, Ran, Rejected, RunLoop, Task, ThreadBound, context, is_large, park_on,
};
use polyexec_core::{Executor, Handle, JoinHandle, block_on};

/// Spawns tasks on a [`Local`](crate::Local), from any thread.
///
/// # What dropping does
///
/// Nothing to the executor. A handle that outlives it refuses tasks.
#[derive(Clone)]
pub struct LocalHandle(Arc<Shared>);

// A task's panic stays with the task, and no code of anybody's runs while a queue is changed.
impl UnwindSafe for LocalHandle {}
impl RefUnwindSafe for LocalHandle {}

struct Shared {
    /// The tasks that are ready, in order. Borrowed only to move a task.
    ready: ThreadBound<RefCell<Queue>>,
    /// Tasks that became ready on other threads.
    inbox: Mutex<Queue>,
    /// Whether there may be tasks in the inbox. Set and cleared under its lock.
    has_mail: AtomicBool,
    live: OwnedTasks,
    run_loop: RunLoop,
    /// Tasks or calls that wait until no task is left.
    at_end: ThreadBound<RefCell<Vec<Waker>>>,
    /// Whether there are any. The home thread's own.
    is_end_awaited: AtomicBool,
}

/// Which task of a queue.
enum Which {
    Oldest,
    Newest,
}

/// Tasks until the oldest has its turn, where the newest run first: so it doesn't starve.
const OLDEST_INTERVAL: u32 = 64;

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    closed: bool,
}

impl Queue {
    /// Gives the task back if the executor has shut down.
    fn push(&mut self, task: Task) -> Result<(), Task> {
        if self.closed {
            return Err(task);
        }
        self.tasks.push_back(task);
        Ok(())
    }

    /// As [`push`](Queue::push), before all others.
    fn push_as_oldest(&mut self, task: Task) -> Result<(), Task> {
        if self.closed {
            return Err(task);
        }
        self.tasks.push_front(task);
        Ok(())
    }

    fn close(&mut self) -> VecDeque<Task> {
        self.closed = true;
        std::mem::take(&mut self.tasks)
    }
}

impl LocalHandle {
    /// An executor whose home is this thread.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            ready: ThreadBound::new(RefCell::default()),
            inbox: Mutex::default(),
            has_mail: AtomicBool::new(false),
            live: OwnedTasks::new(),
            run_loop: RunLoop::new(),
            at_end: ThreadBound::new(RefCell::default()),
            is_end_awaited: AtomicBool::new(false),
        }))
    }

    /// Spawns `future`, which need not be `Send`: it is polled and dropped on the home thread only.
    ///
    /// # Panics
    ///
    /// On any thread but the executor's own, where `future` could neither be run nor handed over.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        if const { is_large::<F>() } {
            return self.spawn_small(Boxed::from(Box::new(future)));
        }
        self.spawn_small(future)
    }

    #[track_caller]
    fn spawn_small<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        assert!(self.is_home(), "`spawn_local` was called on another thread than the `Local`'s own");
        let (task, handle) = Task::new_local(future, self.clone());
        // Refused, the task is dropped here, at home, and its handle resolves as shut down.
        drop(self.submit(task));
        handle
    }

    /// Whether this is the thread that runs the tasks.
    pub fn is_home(&self) -> bool {
        self.0.ready.get().is_some()
    }

    /// Puts a task behind those that are ready, or gives it back if the executor has shut down.
    fn push(&self, task: Task) -> Result<(), Task> {
        let Shared { ready, inbox, has_mail, run_loop, .. } = &*self.0;
        match ready.get() {
            Some(ready) => {
                ready.borrow_mut().push(task)?;
                run_loop.notify_here();
            }
            None => {
                let mut inbox = inbox.lock();
                inbox.push(task)?;
                // Release: pairs with the Acquire in `pop`, though it is the lock that orders the task.
                has_mail.store(true, Release);
                drop(inbox);
                run_loop.notify();
            }
        }
        Ok(())
    }

    /// Takes the task that became ready first, or last. For the home thread only.
    fn pop(&self, which: Which) -> Option<Task> {
        let Shared { ready, inbox, has_mail, .. } = &*self.0;
        let mut ready = ready.get()?.borrow_mut();
        if has_mail.load(Acquire) {
            let mut inbox = inbox.lock();
            // Relaxed: the lock orders it.
            has_mail.store(false, Relaxed);
            ready.tasks.append(&mut inbox.tasks);
        }
        match which {
            Which::Oldest => ready.tasks.pop_front(),
            Which::Newest => ready.tasks.pop_back(),
        }
    }

    /// Runs the task that is ready first, if there is one. For the home thread only.
    pub(crate) fn run_one(&self) -> bool {
        let Some(task) = self.pop_or_notice(Which::Oldest) else { return false };
        if let Ran::Again(task) = self.0.live.run(task) {
            self.schedule(task);
        }
        true
    }

    /// Runs the task that became ready last, if there is one. If it has woken itself, all others come before it again.
    fn run_newest(&self) -> bool {
        let Some(task) = self.pop_or_notice(Which::Newest) else { return false };
        if let Ran::Again(task) = self.0.live.run(task)
            && let Some(ready) = self.0.ready.get()
        {
            let refused = ready.borrow_mut().push_as_oldest(task);
            drop(refused);
            self.0.run_loop.notify_here();
        }
        true
    }

    /// As [`pop`](LocalHandle::pop). If no task is ready, that may be the end that is awaited.
    #[inline]
    fn pop_or_notice(&self, which: Which) -> Option<Task> {
        let task = self.pop(which);
        // Relaxed: this thread has set it.
        if task.is_none() && self.0.is_end_awaited.load(Relaxed) {
            self.notice_end();
        }
        task
    }

    /// Runs the newest tasks first, which `future` most likely waits for, while others may block in their turn, one inside the other.
    fn drive_deep(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let mut runs = 0_u32;
        self.0.run_loop.drive(future, || {
            runs = runs.wrapping_add(1);
            if runs.is_multiple_of(OLDEST_INTERVAL) { self.run_one() } else { self.run_newest() }
        });
    }

    /// Runs tasks until none is ready. For the home thread only.
    pub(crate) fn run_until_stalled(&self) {
        let _context = context::reside(Handle::new(self.clone()));
        self.0.run_loop.run_until_stalled(|| self.run_one());
    }

    /// As [`Local::run_until`](crate::Local::run_until). For the home thread only.
    pub(crate) async fn run_until<F: Future>(&self, future: F) -> F::Output {
        let handle = Handle::new(self.clone());
        self.0.run_loop.drive_within(future, || context::reside(handle.clone()), || self.run_one()).await
    }

    /// Ready when no task is left. For the home thread only.
    pub(crate) fn poll_finished(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_ended() {
            return Poll::Ready(());
        }
        // Foreign code: cloned before the borrow, dropped after it.
        let newest = cx.waker().clone();
        let before = self.0.at_end.get().and_then(|wakers| {
            let mut wakers = wakers.borrow_mut();
            let known = wakers.iter().position(|waker| waker.will_wake(&newest));
            wakers.push(newest);
            known.map(|known| wakers.swap_remove(known))
        });
        drop(before);
        self.0.is_end_awaited.store(true, Relaxed);
        Poll::Pending
    }

    fn notice_end(&self) {
        if !self.has_ended() {
            return;
        }
        self.0.is_end_awaited.store(false, Relaxed);
        let woken = self.0.at_end.get().map(|wakers| std::mem::take(&mut *wakers.borrow_mut()));
        wake_all(woken.into_iter().flatten());
    }

    /// Whether no task is left: what isn't in the table is in a queue.
    fn has_ended(&self) -> bool {
        let Shared { ready, inbox, live, .. } = &*self.0;
        let is_ready = ready.get().is_some_and(|ready| !ready.borrow().tasks.is_empty());
        !is_ready && inbox.lock().tasks.is_empty() && live.is_empty()
    }

    /// Ends every task. For the home thread only.
    pub(crate) fn shut_down(&self) {
        self.0.live.close();
        // Now those that never rested.
        let ready = self.0.ready.get().map(|ready| ready.borrow_mut().close());
        let mail = self.0.inbox.lock().close();
        drop((ready, mail));
    }
}

impl Executor for LocalHandle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.push(self.0.live.admit(task)?).map_err(Rejected::shut_down)
    }

    fn schedule(&self, task: Task) {
        // Not taken, it is ended here, if the shutdown hasn't ended it.
        drop(self.push(task));
    }

    /// On the home thread this runs the tasks. Elsewhere they make progress only if the home thread is driven, too.
    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        if self.is_home() {
            let _context = context::reside(Handle::new(self.clone()));
            self.wait(future);
        } else {
            let _context = context::enter(Handle::new(self.clone()));
            block_on(future);
        }
    }

    /// There is no other thread to run the other tasks, so this one does, inside the task that waits.
    ///
    /// # Panics
    ///
    /// If 256 of them wait inside each other already. The task's handle tells.
    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        if !self.is_home() {
            park_on(future);
        } else if !self.0.run_loop.nests_deep() {
            self.0.run_loop.drive(future, || self.run_one());
        } else {
            self.drive_deep(future);
        }
    }
}

impl futures_task::Spawn for LocalHandle {
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnObjError> {
        context::spawn_obj(self, future)
    }
}

/// On the home thread only.
///
/// # Errors
///
/// The executor has shut down, or this is another thread.
impl futures_task::LocalSpawn for LocalHandle {
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnObjError> {
        if !self.is_home() {
            return Err(SpawnObjError::shutdown());
        }
        let (task, _) = Task::new_local(future, self.clone());
        self.submit(task).map_err(|_| SpawnObjError::shutdown())
    }

    fn status_local(&self) -> Result<(), SpawnObjError> {
        if self.is_home() { Ok(()) } else { Err(SpawnObjError::shutdown()) }
    }
}

impl fmt::Debug for LocalHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = self.0.ready.get().map(|ready| ready.borrow().tasks.len());
        f.debug_struct("LocalHandle").field("ready", &ready).field("live", &self.0.live).finish()
    }
}
