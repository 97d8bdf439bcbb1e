//! A gRPC service and its client, as tonic would generate them of `rpc Greet(Name) returns (Greeting)`.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::{self, uri::PathAndQuery};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower_service::Service;

const PATH: &str = "/greeter.Greeter/Greet";

#[derive(Clone, PartialEq, prost::Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Greeting {
    #[prost(string, tag = "1")]
    text: String,
}

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// The server's side.
#[derive(Clone, Debug)]
pub struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "greeter.Greeter";
}

impl UnaryService<Name> for Greeter {
    type Response = Greeting;
    type Future = Answer<Response<Greeting>, Status>;

    fn call(&mut self, request: Request<Name>) -> Self::Future {
        let text = format!("hello {}", request.into_inner().name);
        Box::pin(async { Ok(Response::new(Greeting { text })) })
    }
}

impl Service<http::Request<tonic::body::Body>> for Greeter {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Answer<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async {
            if request.uri().path() != PATH {
                return Ok(Status::unimplemented("there is one method").into_http());
            }
            Ok(tonic::server::Grpc::new(ProstCodec::default()).unary(Greeter, request).await)
        })
    }
}

/// The client's side.
pub async fn greet(channel: &Channel, name: &str) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let name = Name { name: name.to_owned() };
    let path = PathAndQuery::from_static(PATH);
    let codec = ProstCodec::<Name, Greeting>::default();
    Ok(client.unary(Request::new(name), path, codec).await?.into_inner().text)
}
