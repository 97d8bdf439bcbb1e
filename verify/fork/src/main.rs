//! What a process had when it forked, times what the child does: everything that is made in the child works there, and the
//! parent goes on as if there were no child.
//!
//! Without arguments this runs the whole matrix, each pair in a process of its own.

use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use polyexec::{
    Local, Pool, Threaded,
    net::{TcpListener, TcpStream, UdpSocket},
    spawn_blocking,
    time::sleep,
};

mod os;

/// After that, a process hangs. It takes milliseconds where nothing does.
const PATIENCE: Duration = Duration::from_secs(30);

/// A socket of the parent's, to which nothing comes.
static PARENTS: OnceLock<UdpSocket> = OnceLock::new();

/// Makes what the parent had. What it returns is kept until the child has ended, and goes on then.
type Make = fn() -> Box<dyn FnOnce()>;

const HAD: &[(&str, Make)] = &[
    ("nothing", || Box::new(|| ())),
    ("a socket", || {
        let local = Local::new();
        let socket = bound();
        PARENTS.set(bound()).unwrap();
        // Most likely the driver's thread waits inside by then, which is the hardest case. The test passes either way.
        thread::sleep(Duration::from_millis(50));
        Box::new(move || local.block_on(to_itself(socket)))
    }),
    ("a timer", || {
        let pool = Pool::builder().worker_threads(1).build().unwrap();
        let (sleeps, begun) = std::sync::mpsc::channel();
        let task = pool.spawn(async move {
            sleeps.send(()).unwrap();
            sleep(Duration::from_millis(150)).await;
        });
        begun.recv().unwrap();
        Box::new(move || {
            task.join().unwrap();
            drop(pool);
        })
    }),
    ("a pool", || {
        let pool = Pool::new().unwrap();
        pool.spawn(async {}).join().unwrap();
        Box::new(move || assert_eq!(pool.spawn(async { 7 }).join().unwrap(), 7))
    }),
    ("a thread a task", || {
        let threaded = Threaded::new();
        threaded.spawn(async {}).join().unwrap();
        Box::new(move || assert_eq!(threaded.spawn(async { 7 }).join().unwrap(), 7))
    }),
    ("blocking work", || {
        let (end, is_over) = std::sync::mpsc::channel::<()>();
        let work = spawn_blocking(move || is_over.recv().is_err());
        Box::new(move || {
            drop(end);
            assert!(work.join().unwrap());
        })
    }),
    ("the default executor", || {
        polyexec::spawn(async {}).join().unwrap();
        Box::new(|| assert_eq!(polyexec::spawn(async { 7 }).join().unwrap(), 7))
    }),
    ("tokio's context", || {
        tokios_timer();
        Box::new(tokios_timer)
    }),
    ("a listener for a signal", os::had_listener),
    ("a child process", os::had_child),
    ("a child process without an owner", os::had_orphan),
    ("standard input", os::had_input),
    (ALL, || {
        let all: Vec<_> = HAD.iter().take_while(|(name, _)| *name != ALL).map(|(_, have)| have()).collect();
        Box::new(|| all.into_iter().for_each(|go_on| go_on()))
    }),
    ("a read of standard input that waits", os::had_waiting_read),
];

const ALL: &str = "all of these";

/// What the child does.
const DOES: &[(&str, fn())] = &[
    ("a local sleeps", || Local::new().block_on(sleep(Duration::from_millis(20)))),
    ("a pool sleeps", || {
        let pool = Pool::new().unwrap();
        pool.spawn(sleep(Duration::from_millis(20))).join().unwrap();
    }),
    ("a thread of a task's own sleeps", || {
        let threaded = Threaded::new();
        threaded.spawn(sleep(Duration::from_millis(20))).join().unwrap();
    }),
    ("blocking work", || assert_eq!(spawn_blocking(|| 7).join().unwrap(), 7)),
    ("a local's sockets", || Local::new().block_on(talk())),
    ("a pool's sockets", || {
        let pool = Pool::new().unwrap();
        pool.spawn(talk()).join().unwrap();
    }),
    ("the default executor sleeps", || polyexec::spawn(sleep(Duration::from_millis(20))).join().unwrap()),
    ("a timer without an executor", || polyexec::block_on(sleep(Duration::from_millis(20)))),
    ("a socket without an executor", || polyexec::block_on(talk())),
    ("the parent's socket", || {
        if let Some(socket) = PARENTS.get() {
            let error = Local::new().block_on(socket.recv(&mut [0; 8])).unwrap_err();
            assert!(error.to_string().contains("before a fork"), "{error}");
            let tried = Local::new().block_on(async {
                socket.readable().await.unwrap();
                socket.try_recv(&mut [0; 8])
            });
            assert!(tried.unwrap_err().to_string().contains("before a fork"));
        }
    }),
    ("tokio's timer", tokios_timer),
    ("tokio's timer in a pool", || {
        polyexec::tokio::context().unwrap();
        Pool::new().unwrap().spawn(async { tokio::time::sleep(Duration::from_millis(20)).await }).join().unwrap();
    }),
    ("a signal", os::signal),
    ("the parent's listener", os::parents_listener),
    ("a child process", os::child),
    ("the parent's child process", os::parents_child),
    ("standard input", os::input),
    ("the parent's standard input", os::parents_input),
    ("standard output", os::output),
    ("nothing", || ()),
];

fn tokios_timer() {
    polyexec::tokio::context().unwrap();
    polyexec::block_on(async { tokio::time::sleep(Duration::from_millis(20)).await });
}

fn bound() -> UdpSocket {
    polyexec::block_on(UdpSocket::bind("127.0.0.1:0")).unwrap()
}

/// Waits for a datagram and sends it meanwhile: its event comes to this process, not to its parent or child.
async fn to_itself(socket: UdpSocket) {
    let address = socket.local_addr().unwrap();
    let mut buffer = [0; 8];
    let sends = async {
        sleep(Duration::from_millis(5)).await;
        socket.send_to(b"!", address).await.unwrap();
    };
    let (mut sends, mut receives) = (std::pin::pin!(sends), std::pin::pin!(socket.recv_from(&mut buffer)));
    let mut are_sent = false;
    std::future::poll_fn(|cx| {
        are_sent = are_sent || sends.as_mut().poll(cx).is_ready();
        receives.as_mut().poll(cx)
    })
    .await
    .unwrap();
}

async fn talk() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    drop((client, server));
    to_itself(UdpSocket::bind("127.0.0.1:0").await.unwrap()).await;
}

/// The child's exit status, unless it hangs.
fn forked(child: impl FnOnce()) -> Result<(), String> {
    // SAFETY: the child calls only what is under test, and `_exit`.
    match unsafe { libc::fork() } {
        -1 => Err("the system can't fork".to_owned()),
        0 => {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            // SAFETY: it takes no memory.
            unsafe { libc::_exit(i32::from(ended.is_err())) }
        }
        child => {
            let begin = Instant::now();
            let mut status = 0;
            // SAFETY: `status` lives.
            while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } != child {
                if begin.elapsed() > PATIENCE {
                    // SAFETY: it is our child, and still runs, or waits to be reaped.
                    unsafe { libc::kill(child, libc::SIGKILL) };
                    return Err("the child hangs".to_owned());
                }
                thread::sleep(Duration::from_millis(1));
            }
            if status == 0 { Ok(()) } else { Err(format!("the child's status is {status}")) }
        }
    }
}

/// One pair, in this process.
fn try_pair(had: usize, does: usize) -> Result<(), String> {
    let go_on = HAD[had].1();
    let mut go_on = Some(go_on);
    forked(|| {
        DOES[does].1();
        // What the parent had ends in the child, too, which is none of the parent's business.
        drop(go_on.take());
    })?;
    go_on.take().into_iter().for_each(|go_on| go_on());
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    if let [had, does] = arguments[..] {
        return match try_pair(had, does) {
            Ok(()) => ExitCode::SUCCESS,
            Err(what) => {
                eprintln!("{what}");
                ExitCode::FAILURE
            }
        };
    }
    let mut failed = 0;
    for (had, (had_name, _)) in HAD.iter().enumerate() {
        for (does, (does_name, _)) in DOES.iter().enumerate() {
            let mut pair = Command::new(std::env::current_exe().unwrap())
                .args([had.to_string(), does.to_string()])
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let begin = Instant::now();
            let ended = loop {
                match pair.try_wait().unwrap() {
                    Some(status) => break status.success(),
                    None if begin.elapsed() > 2 * PATIENCE => {
                        pair.kill().unwrap();
                        pair.wait().unwrap();
                        break false;
                    }
                    None => thread::sleep(Duration::from_millis(1)),
                }
            };
            if !ended {
                failed += 1;
                println!("FAILED: the parent had {had_name}; in the child, {does_name}");
            }
        }
    }
    println!("{} pairs, {failed} failed", HAD.len() * DOES.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
