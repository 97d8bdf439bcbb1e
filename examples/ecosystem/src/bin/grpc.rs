//! A gRPC service of tonic, and clients in tasks that share a channel.

use std::error::Error;

use polyexec_ecosystem::greeter::{Greeter, greet};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::{Endpoint, Server, server::TcpIncoming};

#[polyexec::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    polyexec::tokio::context()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder().add_service(Greeter);
    let stopped = async { _ = stopped.await };
    let server = polyexec::spawn(server.serve_with_incoming_shutdown(TcpIncoming::from(listener), stopped));

    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    let clients = ["one", "two", "three"].map(|name| {
        let channel = channel.clone();
        polyexec::spawn(async move { greet(&channel, name).await })
    });
    for client in clients {
        println!("{}", client.await??);
    }
    drop(channel);
    _ = stop.send(());
    server.await??;
    println!("stopped");
    Ok(())
}
