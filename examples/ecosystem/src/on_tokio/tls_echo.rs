//! rustls: an echo over TLS, to a server with a certificate of its own.

use std::error::Error;
use std::sync::Arc;

use polyexec_ecosystem::https;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (server, client) = https::configs()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let (mut from, mut to) = split(TlsAcceptor::from(Arc::new(server)).accept(stream).await?);
        copy(&mut from, &mut to).await?;
        to.shutdown().await
    });

    let stream = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(client)).connect("localhost".try_into()?, stream).await?;
    stream.write_all(b"nobody else can read this\n").await?;
    stream.shutdown().await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    print!("{text}");
    server.await??;
    Ok(())
}
