//! Who is sent web hooks: keeps what it takes, and answers as a test says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    front::{Front, Request, Treatment},
    http::Response,
};

/// A running receiver. Dropping it ends it.
pub struct Receiver {
    front: Front,
    taken: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// One that takes everything.
    pub fn start() -> Self {
        // Nobody stands behind it: it answers everything itself.
        let receiver = Self { front: Front::before(0), taken: Arc::default() };
        receiver.answer(|_| Treatment::Answer(Response::new(200, &[], b"")));
        receiver
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.front.port())
    }

    /// Has `answer` say what becomes of each request from now on.
    pub fn answer(&self, mut answer: impl FnMut(&Request) -> Treatment + Send + 'static) {
        let taken = self.taken.clone();
        self.front.treat(move |request| {
            let treatment = answer(request);
            if matches!(&treatment, Treatment::Answer(response) if (200..300).contains(&response.status)) {
                kept(&taken).push(request.clone());
            }
            treatment
        });
    }

    /// Has every request answered with this status from now on.
    pub fn answer_all(&self, status: u16, headers: &[(&str, &str)]) {
        let response = Response::new(status, headers, b"");
        self.answer(move |_| Treatment::Answer(response.clone()));
    }

    /// What it has answered with success since it was last asked, in order.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut kept(&self.taken))
    }
}

fn kept(taken: &Mutex<Vec<Request>>) -> MutexGuard<'_, Vec<Request>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}
