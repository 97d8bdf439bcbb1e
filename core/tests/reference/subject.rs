//! The task under test, an executor that only queues it, and all operations on it. Logs what happens as the model's events.
//!
//! All on one thread, which finds them in a thread-local, since futures, outputs and wakers must be `Send`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use polyexec_core::executor::{OwnedTasks, Ran, Rejected, Task, park_on};
use polyexec_core::{AbortHandle, AbortOnDrop, Executor, JoinError, JoinHandle, task};

use crate::model::{Became, DROP, Event, Joined, POLL};
use crate::operations::{Action, Birth, Joiner, Leftover, Plan, PollEnd, Script, Step};

thread_local! {
    static SUBJECT: RefCell<Option<Rc<Subject>>> = const { RefCell::new(None) };
}

/// The subject of the running case.
fn subject() -> Rc<Subject> {
    SUBJECT.with_borrow(|subject| subject.clone().expect("a case runs"))
}

pub(crate) struct Subject {
    plan: Plan,
    events: RefCell<Vec<Event>>,
    queue: RefCell<VecDeque<Task>>,
    /// What the next poll does.
    script: RefCell<Option<Script>>,
    handle: RefCell<Option<Handle>>,
    wakers: RefCell<Vec<Waker>>,
    abort_handles: RefCell<Vec<AbortHandle>>,
    table: RefCell<Option<Rc<OwnedTasks>>>,
    /// The plain join wakers.
    a: Arc<Plain>,
    b: Arc<Plain>,
    /// The task that joins: its waker, and its `Task` once it was woken.
    joining: RefCell<Option<Waker>>,
    woken_joining: RefCell<Option<Task>>,
    /// Each cell has a clone of its executor, and with it of a mark.
    mark: Arc<()>,
    joining_mark: Arc<()>,
}

enum Handle {
    Plain(JoinHandle<Output>),
    AbortsOnDrop(AbortOnDrop<Output>),
}

/// Queues.
#[derive(Clone)]
struct Queue {
    _mark: Arc<()>,
}

impl Executor for Queue {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        match subject().plan.birth {
            Birth::Refused | Birth::GivenBack => Err(Rejected::unable(task, "it has no thread")),
            Birth::TooLate => Err(Rejected::shut_down(task)),
            _ => {
                subject().queue.borrow_mut().push_back(task);
                Ok(())
            }
        }
    }

    fn schedule(&self, task: Task) {
        let subject = subject();
        subject.log(Event::Scheduled);
        subject.queue.borrow_mut().push_back(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        park_on(future);
    }
}

/// The executor of the task that joins.
struct Joining {
    _mark: Arc<()>,
}

impl Executor for Joining {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        Err(Rejected::shut_down(task))
    }

    fn schedule(&self, task: Task) {
        let subject = subject();
        subject.log(Event::Woken(Joiner::Task));
        *subject.woken_joining.borrow_mut() = Some(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        park_on(future);
    }
}

/// A join waker that is no task's.
struct Plain(Joiner);

impl Wake for Plain {
    fn wake(self: Arc<Self>) {
        let subject = subject();
        subject.log(Event::Woken(self.0));
        subject.perform_all(&subject.plan.join_wake);
        if subject.plan.join_wake_panics {
            resume_unwind(Box::new("the join waker panics"));
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        unreachable!("a join waker is woken once, by value");
    }
}

struct Scripted;

impl Future for Scripted {
    type Output = Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let subject = subject();
        subject.log(Event::Polled);
        let script = subject.script.take().expect("nothing was to be polled");
        for action in script.actions {
            subject.perform(action, Some(cx.waker()));
        }
        match script.end {
            PollEnd::Pending => Poll::Pending,
            PollEnd::Ready => Poll::Ready(Output),
            PollEnd::Panic => resume_unwind(Box::new(POLL)),
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let subject = subject();
        subject.log(Event::FutureDropped);
        subject.perform_all(&subject.plan.future_drop);
        if subject.plan.future_drop_panics {
            resume_unwind(Box::new(DROP));
        }
    }
}

struct Output;

impl Drop for Output {
    fn drop(&mut self) {
        let subject = subject();
        subject.log(Event::OutputDropped);
        subject.perform_all(&subject.plan.output_drop);
        if subject.plan.output_drop_panics {
            resume_unwind(Box::new("the drop of the output panics"));
        }
    }
}

impl Subject {
    pub(crate) fn new(plan: &Plan) -> Rc<Self> {
        let this = Rc::new(Self {
            plan: plan.clone(),
            events: RefCell::default(),
            queue: RefCell::default(),
            script: RefCell::default(),
            handle: RefCell::default(),
            wakers: RefCell::default(),
            abort_handles: RefCell::default(),
            table: RefCell::new(plan.in_table.then(Rc::default)),
            a: Arc::new(Plain(Joiner::A)),
            b: Arc::new(Plain(Joiner::B)),
            joining: RefCell::default(),
            woken_joining: RefCell::default(),
            mark: Arc::new(()),
            joining_mark: Arc::new(()),
        });
        // A failed case leaks what it left, since dropping it might fail again.
        std::mem::forget(SUBJECT.replace(Some(this.clone())));
        this.start_joining();
        this.bear();
        this
    }

    /// The task under test.
    fn bear(&self) {
        let executor = Queue { _mark: self.mark.clone() };
        let queued = |(task, handle)| {
            self.queue.borrow_mut().push_back(task);
            handle
        };
        let handle = match self.plan.birth {
            Birth::New => queued(Task::new(Scripted, executor)),
            Birth::Local => queued(Task::new_local(Scripted, executor)),
            Birth::Named => task::Builder::new().name("named").spawn_on(&executor, Scripted),
            Birth::Spawned | Birth::Refused | Birth::TooLate => executor.spawn(Scripted),
            Birth::GivenBack => {
                let future = executor.try_spawn(Scripted).expect_err("it is refused").into_future();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
                return;
            }
        };
        *self.handle.borrow_mut() = Some(Handle::Plain(handle));
    }

    /// An idle task, which its waker keeps.
    fn start_joining(&self) {
        let future = std::future::poll_fn(|cx| {
            subject().joining.replace(Some(cx.waker().clone()));
            Poll::<()>::Pending
        });
        let (task, handle) = Task::new(future, Joining { _mark: self.joining_mark.clone() });
        assert!(matches!(task.run(), Ran::Waiting));
        drop(handle);
    }

    pub(crate) fn step(&self, step: &Step) {
        match step {
            Step::Run(script) => self.run(script),
            Step::Do(action) => self.perform(*action, None),
        }
    }

    pub(crate) fn end(&self, leftover: Leftover) {
        match leftover {
            Leftover::Task => self.perform(Action::DropTask, None),
            Leftover::Handle => {
                if self.plan.looks_in_the_end {
                    self.perform(Action::Join(Joiner::A), None);
                }
                self.perform(Action::DropHandle, None);
            }
            Leftover::Wakers => while self.take_waker(0).is_some() {},
            Leftover::AbortHandles => {
                let handles = self.abort_handles.borrow().len();
                (0..handles).for_each(|_| self.perform(Action::DropAbortHandle(0), None));
            }
            Leftover::Table => drop(self.table.take()),
        }
    }

    pub(crate) fn take_events(&self) -> Vec<Event> {
        self.events.take()
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.borrow().len()
    }

    pub(crate) fn in_table(&self) -> usize {
        self.table.borrow().as_ref().map_or(0, |table| table.len())
    }

    pub(crate) fn is_freed(&self) -> bool {
        Arc::strong_count(&self.mark) == 1
    }

    /// Whether everything of the task that joins is freed, once its wakers are dropped.
    pub(crate) fn frees_joining(&self) -> bool {
        drop(self.joining.take());
        drop(self.woken_joining.take());
        Arc::strong_count(&self.joining_mark) == 1
    }

    /// What each handle says.
    pub(crate) fn is_finished(&self) -> Option<bool> {
        self.handle.borrow().as_ref().map(|handle| match handle {
            Handle::Plain(handle) => handle.is_finished(),
            Handle::AbortsOnDrop(handle) => handle.is_finished(),
        })
    }

    pub(crate) fn abort_handles(&self) -> Vec<bool> {
        self.abort_handles.borrow().iter().map(AbortHandle::is_finished).collect()
    }

    /// How many clones the task has of a plain join waker.
    pub(crate) fn clones(&self, joiner: Joiner) -> usize {
        let plain = if joiner == Joiner::A { &self.a } else { &self.b };
        Arc::strong_count(plain) - 1
    }

    fn log(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn run(&self, script: &Script) {
        let Some(task) = self.take_task() else { return };
        *self.script.borrow_mut() = Some(script.clone());
        let table = self.table.borrow().clone();
        let ran = match table {
            Some(table) => table.run(task),
            None => task.run(),
        };
        self.log(Event::Ran(match ran {
            Ran::Finished => Became::Finished,
            Ran::Waiting => Became::Waiting,
            Ran::Again(task) => {
                self.queue.borrow_mut().push_back(task);
                Became::Again
            }
        }));
        *self.script.borrow_mut() = None;
    }

    fn perform_all(&self, actions: &[Action]) {
        actions.iter().for_each(|action| self.perform(*action, None));
    }

    /// Takes things out of their cells before user code may run.
    fn perform(&self, action: Action, own: Option<&Waker>) {
        match action {
            Action::WakeSelf => own.into_iter().for_each(Waker::wake_by_ref),
            Action::KeepWaker => self.wakers.borrow_mut().extend(own.cloned()),
            Action::CloneWaker(place) => {
                let clone = self.waker(place);
                self.wakers.borrow_mut().extend(clone);
            }
            Action::DropWaker(place) => drop(self.take_waker(place)),
            Action::ForgetWaker(place) => std::mem::forget(self.take_waker(place)),
            // Through a clone: the list may not be borrowed meanwhile.
            Action::WakeByRef(place) => self.waker(place).iter().for_each(Waker::wake_by_ref),
            Action::WakeByValue(place) => self.take_waker(place).into_iter().for_each(Waker::wake),
            Action::WakeElsewhere(place) => {
                self.waker(place).into_iter().for_each(|waker| elsewhere(move || waker.wake_by_ref()));
            }
            Action::Abort => self.with_handle(|handle| handle.abort()).unwrap_or_default(),
            Action::KeepAbortHandle => {
                let handle = self.with_handle(|handle| handle.abort_handle());
                self.abort_handles.borrow_mut().extend(handle);
            }
            Action::AbortBy(place) => {
                let handle = at(&self.abort_handles.borrow(), place).cloned();
                handle.iter().for_each(AbortHandle::abort);
            }
            Action::DropAbortHandle(place) => drop(take_at(&self.abort_handles, place)),
            Action::Join(joiner) => self.join(joiner),
            Action::AbortOnDrop => self.change_handle(|handle| match handle {
                Handle::Plain(handle) => Handle::AbortsOnDrop(handle.abort_on_drop()),
                other => other,
            }),
            Action::Detach => self.change_handle(|handle| match handle {
                Handle::AbortsOnDrop(handle) => Handle::Plain(handle.detach()),
                other => other,
            }),
            Action::DropHandle => drop(self.handle.take()),
            Action::ForgetHandle => std::mem::forget(self.handle.take()),
            Action::DropTask => drop(self.take_task()),
            Action::ForgetTask => std::mem::forget(self.take_task()),
            Action::Close => {
                let table = self.table.borrow().clone();
                table.iter().for_each(|table| table.close());
            }
        }
    }

    fn join(&self, joiner: Joiner) {
        let waker = match joiner {
            Joiner::A => Some(Waker::from(self.a.clone())),
            Joiner::B => Some(Waker::from(self.b.clone())),
            Joiner::Task => self.joining.borrow().clone(),
            Joiner::Own(place) => self.waker(place),
        };
        let Some(waker) = waker else { return };
        let mut cx = Context::from_waker(&waker);
        let polled = self.with_handle_mut(|handle| {
            catch_unwind(AssertUnwindSafe(|| match handle {
                Handle::Plain(handle) => Pin::new(handle).poll(&mut cx),
                Handle::AbortsOnDrop(handle) => Pin::new(handle).poll(&mut cx),
            }))
        });
        let (joined, output) = match polled {
            None => return,
            Some(Err(_)) => (Joined::PolledAfterReady, None),
            Some(Ok(Poll::Pending)) => (Joined::Pending, None),
            Some(Ok(Poll::Ready(Ok(output)))) => (Joined::Output, Some(output)),
            Some(Ok(Poll::Ready(Err(error)))) => (why(error), None),
        };
        self.log(Event::Joined(joined));
        let _ = catch_unwind(AssertUnwindSafe(|| drop(output)));
    }

    fn take_task(&self) -> Option<Task> {
        self.queue.borrow_mut().pop_front()
    }

    fn waker(&self, place: usize) -> Option<Waker> {
        at(&self.wakers.borrow(), place).cloned()
    }

    fn take_waker(&self, place: usize) -> Option<Waker> {
        take_at(&self.wakers, place)
    }

    fn with_handle<T>(&self, run: impl FnOnce(&JoinHandle<Output>) -> T) -> Option<T> {
        self.with_handle_mut(|handle| match handle {
            Handle::Plain(handle) => run(handle),
            Handle::AbortsOnDrop(handle) => run(handle),
        })
    }

    /// Runs no user code.
    fn with_handle_mut<T>(&self, run: impl FnOnce(&mut Handle) -> T) -> Option<T> {
        self.handle.borrow_mut().as_mut().map(run)
    }

    fn change_handle(&self, change: impl FnOnce(Handle) -> Handle) {
        let mut handle = self.handle.borrow_mut();
        *handle = handle.take().map(change);
    }
}

/// Runs `work` in the poll of a task of its own.
fn elsewhere(work: impl FnOnce() + Send + 'static) {
    let (task, handle) = Task::new(async move { work() }, Joining { _mark: Arc::default() });
    drop(handle);
    assert!(matches!(task.run(), Ran::Finished));
}

fn why(error: JoinError) -> Joined {
    if error.is_shutdown() {
        Joined::ShutDown
    } else if error.is_cancelled() {
        Joined::Cancelled
    } else if error.is_rejected() {
        Joined::Rejected
    } else {
        Joined::Panicked(error.into_panic().downcast_ref::<&'static str>().copied().unwrap_or("another panic"))
    }
}

fn at<T>(list: &[T], place: usize) -> Option<&T> {
    list.get(place.checked_rem(list.len())?)
}

fn take_at<T>(list: &RefCell<Vec<T>>, place: usize) -> Option<T> {
    let mut list = list.borrow_mut();
    let place = place.checked_rem(list.len())?;
    Some(list.swap_remove(place))
}
