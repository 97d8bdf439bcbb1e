//! A router of axum behind `polyexec::hyper::serve`, which stops gracefully.

use std::io;
use std::time::Duration;

use axum::{Router, extract::Path, routing::get};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use polyexec::CancellationToken;
use polyexec::hyper::{from_tower, serve};
use polyexec::net::{TcpListener, TcpStream};

async fn hello(Path(name): Path<String>) -> String {
    format!("hello {name}\n")
}

#[polyexec::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let router = Router::new().route("/hello/{name}", get(hello));
    let server = serve(listener, from_tower(router))
        .shutdown_on(async move { stopped.cancelled().await })
        .deadline(Duration::from_secs(5));
    let server = polyexec::spawn(server.run());

    let mut client = TcpStream::connect(address).await?;
    client.write_all(b"GET /hello/axum HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    println!("{}", answer.lines().last().unwrap_or_default());
    stop.cancel();
    _ = server.await??;
    println!("stopped");
    Ok(())
}
