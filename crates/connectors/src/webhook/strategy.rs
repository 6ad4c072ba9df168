//! The read strategy: listens, takes what is sent, and leaves when everybody has been answered.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use async_trait::async_trait;
use axum::Router;
use futures::future::{self, Either};
use tidemark_engine::{
    Cursor, Error, PartId, Result, Stop,
    read::{End, Outlet, Phase, ReadContext, ReadStrategy},
};
use tokio::{net::TcpListener, sync::mpsc};

use super::{
    connections::{Connections, Line},
    cursor::HookCursor,
    door::Door,
    hook::Hook,
    intake::{Intake, Patience},
    reception::{Desk, Reception, receive},
    register::Register,
};

/// Connections beyond those that may wait: for whom to say so to.
const CONNECTIONS_BEYOND: usize = 256;
/// How long requests that are inside may take when it is told to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(15);

/// Takes web hooks; see [`super::Source::strategy`].
pub struct WebhookStrategy {
    pub(super) address: SocketAddr,
    pub(super) hooks: Vec<Arc<Hook>>,
    pub(super) max_body: u32,
    pub(super) max_waiting: u32,
    pub(super) patience: Duration,
    pub(super) remember: usize,
}

#[async_trait]
impl ReadStrategy for WebhookStrategy {
    async fn run(&mut self, from: Cursor, out: Outlet, cx: ReadContext) -> Result<End> {
        if cx.until_caught_up {
            return Err(Error::config("web hooks have no end to read to: they come when they are sent")
                .hint("run it without `--once`, and without `trigger`"));
        }
        let listener = bind(self.address).await?;
        let asked = cx.resyncs.asked();
        let (door, ended) = (Arc::new(Door::new(self.max_waiting)), Stop::new());
        let (mut desks, mut intakes) = (HashMap::new(), Vec::new());
        for hook in &self.hooks {
            let name = hook.outline.name.as_str();
            let mut cursor = HookCursor::parse(from.get(&PartId::new(name)))?;
            let mut lane = out.lane(PartId::new(name), Phase::Changes);
            if asked.takes(&hook.outline.name) {
                tracing::warn!(
                    stream = name,
                    "messages that were taken are forgotten: what is sent again is taken again"
                );
                cursor = cursor.anew();
                lane.boundary(cursor.to_bytes()?, None).await?.durable().await?;
            }
            let ids = cursor.ids(out.states()).await?;
            let (sender, deliveries) = mpsc::channel(self.max_waiting as usize);
            let desk = Desk { hook: hook.clone(), deliveries: sender, unverified: AtomicU64::new(0) };
            desks.insert(hook.path.to_string(), desk);
            intakes.push(Intake {
                hook: hook.clone(),
                deliveries,
                lane,
                states: out.states().clone(),
                register: Register::new(&hook.outline, cursor, ids, self.remember, hook.path.clone()),
                patience: Patience { door: door.clone(), within: self.patience, world: cx.world.clone() },
                ended: ended.clone(),
            });
        }
        cx.resyncs.meet(&asked);
        tracing::info!(address = %self.address, "listening for web hooks");
        let reception = Reception {
            desks,
            door: door.clone(),
            max_body: self.max_body,
            patience: self.patience,
            stop: cx.stop.clone(),
            world: cx.world.clone(),
        };
        let most = self.max_waiting as usize + CONNECTIONS_BEYOND;
        let serving = async {
            serve(Connections::new(listener, most, cx.world.clone()), reception, &cx).await;
            ended.stop();
            Ok(())
        };
        let taking = future::try_join_all(intakes.into_iter().map(Intake::run));
        future::try_join(serving, taking).await?;
        Ok(End::Stopped)
    }
}

/// Listens at `address`.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "choose another port under `listen`, or end what listens there",
            io::ErrorKind::PermissionDenied => "choose a port from 1024 on under `listen`",
            _ => "choose an address of this machine under `listen`",
        };
        Error::config(format!("`{address}` cannot be listened at")).hint(hint).source(error)
    })
}

/// Serves requests until it is told to stop, and those that are inside to their end.
async fn serve(connections: Connections, reception: Reception, cx: &ReadContext) {
    let router = Router::new().fallback(receive).with_state(Arc::new(reception));
    let stop = cx.stop.clone();
    let serving = axum::serve(connections, router.into_make_service_with_connect_info::<Line>())
        .with_graceful_shutdown(async move { stop.stopped().await });
    let patience = async {
        cx.stop.stopped().await;
        cx.world.sleep(LAST_ANSWERS).await;
    };
    if let Either::Right(_) = future::select(pin!(serving.into_future()), pin!(patience)).await {
        tracing::warn!("requests that take too long are left without an answer");
    }
}
