//! A TCP proxy with a limit of connections and a graceful end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

async fn proxy(mut client: TcpStream, upstream: SocketAddr) -> io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Returns how many connections were cut.
async fn serve(listener: TcpListener, upstream: SocketAddr, mut stopped: oneshot::Receiver<()>) -> usize {
    let room = Arc::new(Semaphore::new(1000));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let permit = room.clone().acquire_owned().await.expect("it is never closed");
            listener.accept().await.map(|(stream, peer)| (stream, peer, permit))
        };
        tokio::select! {
            _ = &mut stopped => break,
            accepted = accept => match accepted {
                Ok((stream, peer, permit)) => {
                    connections.spawn(async move {
                        if let Err(error) = proxy(stream, upstream).await {
                            eprintln!("{peer}: {error}");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    eprintln!("{error}");
                    sleep(Duration::from_secs(1)).await;
                }
            },
            Some(end) = connections.join_next() => {
                if let Err(error) = end {
                    eprintln!("{error}");
                }
            }
        }
    }
    drop(listener);
    let ends = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(Duration::from_secs(5), ends).await;
    let cut = connections.len();
    connections.shutdown().await;
    cut
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let echo = TcpListener::bind("127.0.0.1:0").await?;
    let upstream = echo.local_addr()?;
    let _echo = tokio::spawn(async move {
        let (mut stream, _) = echo.accept().await?;
        let (mut from, mut to) = stream.split();
        copy(&mut from, &mut to).await
    });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(serve(listener, upstream, stopped));

    let mut client = TcpStream::connect(address).await?;
    client.write_all(b"before the end\n").await?;
    let mut line = [0; 15];
    client.read_exact(&mut line).await?;
    let _ = stop.send(());
    client.write_all(b"and after it\n").await?;
    client.shutdown().await?;
    let mut rest = String::new();
    client.read_to_string(&mut rest).await?;
    print!("{}{rest}", String::from_utf8_lossy(&line));
    println!("{} cut", server.await?);
    Ok(())
}
