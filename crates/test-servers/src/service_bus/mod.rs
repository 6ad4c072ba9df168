//! A double of Azure Service Bus: queues over AMQP 1.0 without TLS, as its emulator has them, to whoever shows a token that its key has
//! signed. It speaks the protocol by code of its own, as Microsoft's "AMQP 1.0 in Azure Service Bus and Event Hubs protocol guide" has it,
//! and misbehaves as the service may.

mod claims;
mod link;
mod message;
mod peer;
mod queues;
mod value;
mod wire;

use std::{
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

pub use message::ServiceBusMessage;
pub use queues::Misfortune;

use crate::clouds::tools::tool;
use peer::Peer;
use queues::{Queue, Queues};

/// The policy that may do anything, and its key.
const POLICY: &str = "RootManageSharedAccessKey";
const KEY: &str = "SAS_KEY_VALUE+/=";

/// The double. It keeps its messages in this process, whoever is cut off.
pub struct ServiceBus {
    queues: Arc<Queues>,
    port: u16,
    listener: Option<Listener>,
}

struct Listener {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl ServiceBus {
    /// Starts one.
    pub fn start() -> Self {
        let mut bus = Self { queues: Arc::new(Queues::new()), port: crate::port::free(), listener: None };
        bus.start_again();
        bus
    }

    pub fn url(&self) -> String {
        format!("amqp://localhost:{}", self.port)
    }

    /// The policy by which clients come in, and its key.
    pub fn policy(&self) -> (&'static str, &'static str) {
        (POLICY, KEY)
    }

    /// As Microsoft's clients want it.
    pub fn connection_string(&self) -> String {
        let port = self.port;
        format!(
            "Endpoint=sb://localhost:{port};SharedAccessKeyName={POLICY};SharedAccessKey={KEY};UseDevelopmentEmulator=true;"
        )
    }

    pub fn create_queue(&self, name: &str) {
        self.queues.state().queues.insert(name.to_owned(), Queue::default());
    }

    /// One that drops what has the id of something that it has had.
    pub fn create_queue_without_duplicates(&self, name: &str) {
        self.queues.state().queues.insert(name.to_owned(), Queue::dropping_duplicates());
    }

    /// One that takes nothing without a session.
    pub fn create_queue_with_sessions(&self, name: &str) {
        let queue = Queue { requires_session: true, ..Queue::default() };
        self.queues.state().queues.insert(name.to_owned(), queue);
    }

    /// One that takes nothing.
    pub fn create_disabled_queue(&self, name: &str) {
        let queue = Queue { is_disabled: true, ..Queue::default() };
        self.queues.state().queues.insert(name.to_owned(), queue);
    }

    /// Takes everything out of a queue, in the order in which it came.
    pub fn take(&self, queue: &str) -> Vec<ServiceBusMessage> {
        self.queues.state().queues.get_mut(queue).unwrap().waiting.drain(..).collect()
    }

    /// From now on links say that they take so many bytes at once, and so many in a batch.
    pub fn limit(&self, message: u64, batch: Option<u64>) {
        let mut state = self.queues.state();
        (state.largest_message, state.largest_batch) = (message, batch);
    }

    /// What becomes of the next transfers that it is given.
    pub fn plan(&self, misfortune: Misfortune, times: usize) {
        self.queues.state().plan(misfortune, times);
    }

    /// Refuses every message whose body holds `poison`, and every batch with one, for what it is.
    pub fn refuse(&self, poison: &str) {
        self.queues.state().poison = Some(poison.as_bytes().to_vec());
    }

    /// The places that tokens were shown for, in their order.
    pub fn tokens(&self) -> Vec<String> {
        self.queues.state().tokens.clone()
    }

    /// Cuts everybody off, and lets nobody in.
    pub fn kill(&mut self) {
        self.queues.state().is_down = true;
        let listener = self.listener.take().expect("it runs");
        listener.stop.store(true, Ordering::SeqCst);
        listener.thread.join().unwrap();
    }

    /// Lets people in again.
    pub fn start_again(&mut self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.queues.state().is_down = false;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, queues) = (stop.clone(), self.queues.clone());
        let thread = thread::spawn(move || {
            let mut peers = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((socket, _)) => {
                        socket.set_nonblocking(false).unwrap();
                        let queues = queues.clone();
                        peers.push(thread::spawn(move || Peer::serve(socket, queues)));
                    }
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
            for peer in peers {
                peer.join().unwrap();
            }
        });
        self.listener = Some(Listener { stop, thread });
    }
}

impl Drop for ServiceBus {
    fn drop(&mut self) {
        if self.listener.is_some() {
            self.kill();
        }
    }
}

/// The folder with Microsoft's client for Python, `azure-servicebus`.
pub fn service_bus_client() -> PathBuf {
    let package = tool("azure-servicebus/azure/servicebus/__init__.py");
    package.ancestors().nth(3).expect("it is in folders").to_path_buf()
}
