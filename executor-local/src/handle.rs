//! The queues, and the handle that any thread spawns and wakes with. Runs tasks on the owner thread only.
//!
//! Tasks that become ready on the owner thread go to its own queue, without lock or notification: the thread checks that queue
//! before it sleeps. Tasks that become ready on other threads go to the inbox. The owner thread empties the inbox before each
//! task, so tasks run in the order in which they became ready.

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
use polyexec_core::observe::{Observer, WorkerEvent, tell_worker};
use polyexec_core::{Executor, Handle, JoinHandle, block_on};

use crate::on_ready::{OnReady, Running};

/// Spawns tasks on a [`Local`](crate::Local), from any thread.
///
/// # What dropping does
///
/// Nothing to the executor. A handle that outlives it refuses tasks.
#[derive(Clone)]
pub struct LocalHandle(Arc<Shared>);

// A task's panic stays with the task, and no user code runs while a queue changes.
impl UnwindSafe for LocalHandle {}
impl RefUnwindSafe for LocalHandle {}

struct Shared {
    /// The owner thread's queue: ready tasks, oldest first. Borrowed only to move a task.
    ready: ThreadBound<RefCell<Queue>>,
    /// Tasks that became ready on other threads.
    inbox: Mutex<Queue>,
    /// Whether the inbox may hold tasks. Set and cleared under its lock.
    has_mail: AtomicBool,
    owned: OwnedTasks,
    run_loop: RunLoop,
    /// Callers of `finished`, which wait until no task is left.
    on_finished: ThreadBound<RefCell<Vec<Waker>>>,
    /// Whether `on_finished` may hold any. Only the owner thread uses it.
    is_finish_awaited: AtomicBool,
    on_ready: OnReady,
    observer: Option<Arc<dyn Observer>>,
}

/// Which task of a queue to take.
enum Which {
    Oldest,
    Newest,
}

/// Where the newest tasks run first, every 64th is the oldest, so that it doesn't starve.
const OLDEST_INTERVAL: u32 = 64;

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    closed: bool,
}

impl Queue {
    /// Returns the task if the executor has shut down.
    fn push(&mut self, task: Task) -> Result<(), Task> {
        if self.closed {
            return Err(task);
        }
        self.tasks.push_back(task);
        Ok(())
    }

    /// Like [`push`](Queue::push), but in front of all others.
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
    /// A handle of a new executor that this thread owns.
    pub(crate) fn new(on_ready: OnReady, observer: Option<Arc<dyn Observer>>) -> Self {
        let handle = Self(Arc::new(Shared {
            ready: ThreadBound::new(RefCell::default()),
            inbox: Mutex::default(),
            has_mail: AtomicBool::new(false),
            owned: OwnedTasks::new(),
            run_loop: RunLoop::observed(observer.clone()),
            on_finished: ThreadBound::new(RefCell::default()),
            is_finish_awaited: AtomicBool::new(false),
            on_ready,
            observer,
        }));
        handle.tell(WorkerEvent::Started);
        handle
    }

    /// Owner thread only.
    fn tell(&self, event: WorkerEvent) {
        if let Some(observer) = self.observer() {
            tell_worker(observer, 0, event);
        }
    }

    /// Spawns a future that need not be `Send`: it is polled and dropped on the owner thread only.
    ///
    /// # Panics
    ///
    /// On any other thread: `future` can neither run there nor move to the owner thread.
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
        assert!(self.is_owner_thread(), "`spawn_local` was called on a thread that doesn't own the `Local`");
        let (task, handle) = Task::new_local(future, self.clone());
        // After a shutdown the task is dropped here, on its thread, and the handle resolves as shut down.
        drop(self.submit(task));
        handle
    }

    /// Whether the calling thread owns the executor, and so runs its tasks.
    pub fn is_owner_thread(&self) -> bool {
        self.0.ready.get().is_some()
    }

    /// Queues a task behind those that are ready. Returns it if the executor has shut down.
    fn push(&self, task: Task) -> Result<(), Task> {
        let Shared { ready, inbox, has_mail, run_loop, on_ready, .. } = &*self.0;
        match ready.get() {
            Some(ready) => {
                ready.borrow_mut().push(task)?;
                run_loop.notify_here();
                on_ready.queued_here();
            }
            None => {
                let mut inbox = inbox.lock();
                inbox.push(task)?;
                // Release: pairs with the Acquire in `pop`. The lock orders the task itself.
                has_mail.store(true, Release);
                drop(inbox);
                run_loop.notify();
                on_ready.queued();
            }
        }
        Ok(())
    }

    /// Takes the task that became ready first, or last. Owner thread only.
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

    /// Runs the oldest ready task, if any. Owner thread only.
    pub(crate) fn run_one(&self) -> bool {
        let Some(task) = self.next(Which::Oldest) else { return false };
        if let Ran::Again(task) = self.0.owned.run(task) {
            self.schedule(task);
        }
        true
    }

    /// Runs the newest ready task, if any. If it wakes itself, it goes behind all others.
    fn run_newest(&self) -> bool {
        let Some(task) = self.next(Which::Newest) else { return false };
        if let Ran::Again(task) = self.0.owned.run(task)
            && let Some(ready) = self.0.ready.get()
        {
            let refused = ready.borrow_mut().push_as_oldest(task);
            drop(refused);
            self.0.run_loop.notify_here();
        }
        true
    }

    /// Like [`pop`](LocalHandle::pop). If no task is ready, wakes the callers of `finished` if no task is left either.
    #[inline]
    fn next(&self, which: Which) -> Option<Task> {
        let task = self.pop(which);
        // Relaxed: only this thread sets it.
        if task.is_none() && self.0.is_finish_awaited.load(Relaxed) {
            self.wake_finished();
        }
        task
    }

    /// Drives `future`, newest tasks first: it most likely waits for those. Keeps the stack shallow where tasks block inside
    /// each other.
    fn drive_deep(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let mut runs = 0_u32;
        self.0.run_loop.drive(future, || {
            runs = runs.wrapping_add(1);
            if runs.is_multiple_of(OLDEST_INTERVAL) { self.run_one() } else { self.run_newest() }
        });
    }

    /// A call runs the tasks until the guard is dropped. Owner thread only.
    fn running(&self) -> Running<'_, impl Fn() -> bool> {
        self.0.on_ready.running(|| self.is_any_ready())
    }

    /// Runs tasks until none is ready. Owner thread only.
    pub(crate) fn run_until_stalled(&self) {
        let _running = self.running();
        let _context = context::reside(Handle::new(self.clone()));
        self.0.run_loop.run_until_stalled(|| self.run_one());
    }

    /// See [`Local::run_until`](crate::Local::run_until). Owner thread only.
    pub(crate) async fn run_until<F: Future>(&self, future: F) -> F::Output {
        let _running = self.running();
        let handle = Handle::new(self.clone());
        self.0.run_loop.drive_within(future, || context::reside(handle.clone()), || self.run_one()).await
    }

    /// Ready when no task is left. Owner thread only.
    pub(crate) fn poll_finished(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_finished() {
            return Poll::Ready(());
        }
        // User code: cloned before the borrow, dropped after it.
        let newest = cx.waker().clone();
        let before = self.0.on_finished.get().and_then(|wakers| {
            let mut wakers = wakers.borrow_mut();
            let known = wakers.iter().position(|waker| waker.will_wake(&newest));
            wakers.push(newest);
            known.map(|known| wakers.swap_remove(known))
        });
        drop(before);
        self.0.is_finish_awaited.store(true, Relaxed);
        Poll::Pending
    }

    fn wake_finished(&self) {
        if !self.is_finished() {
            return;
        }
        self.0.is_finish_awaited.store(false, Relaxed);
        let woken = self.0.on_finished.get().map(|wakers| std::mem::take(&mut *wakers.borrow_mut()));
        wake_all(woken.into_iter().flatten());
    }

    /// Whether no task is left: each one is in the table or in a queue.
    fn is_finished(&self) -> bool {
        !self.is_any_ready() && self.0.owned.is_empty()
    }

    /// Whether a task is in a queue. Owner thread only.
    fn is_any_ready(&self) -> bool {
        let Shared { ready, inbox, .. } = &*self.0;
        ready.get().is_some_and(|ready| !ready.borrow().tasks.is_empty()) || !inbox.lock().tasks.is_empty()
    }

    /// Ends every task. Owner thread only.
    pub(crate) fn shut_down(&self) {
        self.0.owned.close();
        // The table knows idle tasks; all others are in the queues.
        let ready = self.0.ready.get().map(|ready| ready.borrow_mut().close());
        let mail = self.0.inbox.lock().close();
        drop((ready, mail));
        self.tell(WorkerEvent::Stopped);
    }
}

impl Executor for LocalHandle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.push(self.0.owned.admit(task)?).map_err(Rejected::shut_down)
    }

    fn schedule(&self, task: Task) {
        // After a shutdown the drop ends the task.
        drop(self.push(task));
    }

    /// On the owner thread, runs the tasks meanwhile. On other threads, tasks progress only while the owner thread runs them.
    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        if self.is_owner_thread() {
            let _running = self.running();
            let _context = context::reside(Handle::new(self.clone()));
            self.wait(future);
        } else {
            let _context = context::enter(Handle::new(self.clone()));
            block_on(future);
        }
    }

    fn runs_only_here(&self) -> bool {
        self.is_owner_thread()
    }

    #[inline]
    fn observer(&self) -> Option<&dyn Observer> {
        self.0.observer.as_deref()
    }

    /// Runs the other tasks inside the waiting one, since no other thread could run them.
    ///
    /// # Panics
    ///
    /// If 256 tasks wait inside each other already. The handle of the task that called this returns the panic.
    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        if !self.is_owner_thread() {
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

/// Spawns on the owner thread only.
///
/// # Errors
///
/// The executor has shut down, or another thread owns it.
impl futures_task::LocalSpawn for LocalHandle {
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnObjError> {
        if !self.is_owner_thread() {
            return Err(SpawnObjError::shutdown());
        }
        let (task, _) = Task::new_local(future, self.clone());
        self.submit(task).map_err(|_| SpawnObjError::shutdown())
    }

    fn status_local(&self) -> Result<(), SpawnObjError> {
        if self.is_owner_thread() { Ok(()) } else { Err(SpawnObjError::shutdown()) }
    }
}

impl fmt::Debug for LocalHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = self.0.ready.get().map(|ready| ready.borrow().tasks.len());
        f.debug_struct("LocalHandle").field("ready", &ready).field("owned", &self.0.owned).finish()
    }
}
