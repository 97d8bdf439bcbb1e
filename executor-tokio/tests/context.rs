//! tokio's futures in the tasks of each executor, unwrapped.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use polyexec_conformance::watched;
use polyexec_core::{Executor, Handle, block_on};
use polyexec_local::Local;
use polyexec_pool::Pool;
use polyexec_threaded::{Threaded, blocking};
use polyexec_tokio::Tokio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Uses each of tokio's drivers, and its blocking threads.
async fn uses_tokio() -> io::Result<u64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut client = TcpStream::connect(listener.local_addr()?).await?;
    let (mut server, _) = listener.accept().await?;
    client.write_u64(6).await?;
    let six = server.read_u64().await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let seven = tokio::task::spawn_blocking(|| 7).await?;
    Ok(six * seven)
}

fn thread_name() -> Option<String> {
    thread::current().name().map(str::to_owned)
}

/// In several tasks and in `block_on`, on executors of each kind.
fn on(executor: &Arc<dyn Executor>) {
    let tasks: Vec<_> = (0..8).map(|_| executor.spawn(uses_tokio())).collect();
    executor.block_on(async {
        assert_eq!(uses_tokio().await.unwrap(), 42);
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 42);
        }
    });
}

#[test]
fn on_a_pool() {
    watched!();
    polyexec_tokio::context().unwrap();
    let pool = Pool::builder().worker_threads(2).build().unwrap();
    on(&(Arc::new(pool.handle()) as Arc<dyn Executor>));
    // A thread that replaces a blocked one.
    let inner = pool.handle();
    let blocked = pool.spawn(async move { [inner.spawn(uses_tokio()).join(), inner.spawn(uses_tokio()).join()] });
    for each in pool.block_on(blocked).unwrap() {
        assert_eq!(each.unwrap().unwrap(), 42);
    }
}

#[test]
fn on_threads() {
    watched!();
    polyexec_tokio::context().unwrap();
    let threaded = Threaded::new();
    on(&(Arc::new(threaded.handle()) as Arc<dyn Executor>));
}

#[test]
fn on_a_local() {
    watched!();
    polyexec_tokio::context().unwrap();
    // The test's thread is in the context, since it has called `context`. This one has not.
    thread::spawn(|| {
        let local = Local::new();
        on(&(Arc::new(local.handle()) as Arc<dyn Executor>));
        local.block_on(local.run_until(uses_tokio())).unwrap();
    })
    .join()
    .unwrap();
}

#[test]
fn outside_of_executors_and_for_blocking_work() {
    watched!();
    polyexec_tokio::context().unwrap();
    let plain = thread::spawn(|| block_on(uses_tokio()).unwrap());
    assert_eq!(plain.join().unwrap(), 42);
    let polled = thread::spawn(|| polyexec_core::block_on_polling(uses_tokio(), Duration::from_millis(1)).unwrap());
    assert_eq!(polled.join().unwrap(), 42);
    let blocking = blocking::spawn_blocking(|| tokio::runtime::Handle::current().block_on(uses_tokio()).unwrap());
    assert_eq!(blocking.join().unwrap(), 42);
}

/// In the destructor of a future that a shutdown drops, on a thread that has polled nothing.
#[test]
fn in_a_destructor_at_shutdown() {
    struct Spawns(std::sync::mpsc::Sender<bool>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            _ = self.0.send(tokio::runtime::Handle::try_current().is_ok());
        }
    }

    watched!();
    polyexec_tokio::context().unwrap();
    let (send, is_in_context) = std::sync::mpsc::channel();
    let pool = Pool::builder().worker_threads(1).build().unwrap();
    let spawns = Spawns(send);
    let idle = pool.spawn(async move {
        let _spawns = spawns;
        std::future::pending::<()>().await;
    });
    // Polled once the second task has run.
    pool.spawn(async {}).join().unwrap();
    thread::spawn(move || drop(pool)).join().unwrap();
    assert!(is_in_context.recv().unwrap());
    assert!(idle.join().unwrap_err().is_shutdown());
}

/// What the documentation says of where things run.
#[test]
fn a_task_stays_on_its_executor_and_tokios_run_on_one_thread() {
    watched!();
    let runtime = polyexec_tokio::context().unwrap();
    let pool = Pool::builder().worker_threads(2).thread_name("ours").build().unwrap();
    let names = pool.block_on(pool.spawn(async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        (thread_name(), tokio::spawn(async { thread_name() }).await.unwrap(), Handle::current().is_some())
    }));
    let (ours, tokios, has_executor) = names.unwrap();
    assert!(ours.as_deref().is_some_and(|name| name.starts_with("ours")), "{ours:?}");
    assert_eq!(tokios.as_deref(), Some("tokio-context"));
    assert!(has_executor);
    let spawned = runtime.spawn(async { thread_name() });
    assert_eq!(block_on(spawned).unwrap().as_deref(), Some("tokio-context"));
}

/// Where tokio panics in its own tasks.
#[test]
fn a_task_may_block_in_tokios_block_on() {
    watched!();
    polyexec_tokio::context().unwrap();
    let pool = Pool::builder().worker_threads(1).build().unwrap();
    let task = pool.spawn(async {
        let here = tokio::runtime::Handle::current().block_on(uses_tokio()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let own = runtime.block_on(uses_tokio()).unwrap();
        let in_place = tokio::task::block_in_place(|| 42);
        [here, own, in_place]
    });
    assert_eq!(pool.block_on(task).unwrap(), [42; 3]);
}

/// A thread in a runtime of the program's stays in that one.
#[test]
fn a_runtime_of_the_programs_goes_first() {
    watched!();
    let context = polyexec_tokio::context().unwrap().id();
    let current = || tokio::runtime::Handle::current().id();
    thread::spawn(move || {
        let theirs = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        {
            let _entered = theirs.enter();
            assert_eq!(block_on(async { current() }), theirs.handle().id());
        }
        assert_eq!(block_on(async { current() }), context);
        let _entered = theirs.enter();
        assert_eq!(block_on(async { current() }), theirs.handle().id());
    })
    .join()
    .unwrap();

    let tokio = Tokio::new().unwrap();
    let seen = tokio.block_on(tokio.spawn(async move { current() })).unwrap();
    assert_eq!(&seen, &tokio.handle().runtime().id());
    assert_eq!(tokio.block_on(async { uses_tokio().await.unwrap() }), 42);
}
