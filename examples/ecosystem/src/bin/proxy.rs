//! A TCP proxy with a limit of connections and a graceful end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, io::copy};
use polyexec::CancellationToken;
use polyexec::io::copy_bidirectional;
use polyexec::net::{TcpListener, TcpStream, serve};

async fn proxy(mut client: TcpStream, upstream: SocketAddr) -> io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

#[polyexec::main]
async fn main() -> io::Result<()> {
    let echo = TcpListener::bind("127.0.0.1:0").await?;
    let upstream = echo.local_addr()?;
    let _echo = polyexec::spawn(async move {
        let (stream, _) = echo.accept().await?;
        copy(&stream, &stream).await
    });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let server = serve(listener)
        .limit(1000)
        .shutdown_on(async move { stopped.cancelled().await })
        .deadline(Duration::from_secs(5))
        .on_problem(|problem| eprintln!("{problem}"))
        .run(move |stream, peer| async move {
            if let Err(error) = proxy(stream, upstream).await {
                eprintln!("{peer}: {error}");
            }
        });
    let server = polyexec::spawn(server);

    let mut client = TcpStream::connect(address).await?;
    client.write_all(b"before the end\n").await?;
    let mut line = [0; 15];
    client.read_exact(&mut line).await?;
    stop.cancel();
    client.write_all(b"and after it\n").await?;
    client.close().await?;
    let mut rest = String::new();
    client.read_to_string(&mut rest).await?;
    print!("{}{rest}", String::from_utf8_lossy(&line));
    println!("{} cut", server.await??.cut().len());
    Ok(())
}
