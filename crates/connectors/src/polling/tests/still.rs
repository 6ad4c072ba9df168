//! A server that gives what a test has put there, page by page.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tidemark_engine::Result;

use super::{answers::page, bench::Bench};
use crate::polling::{Answer, Ask, Page, Pages, Plan, Records};

/// What a server answers: to whichever sweep, these pages one after another.
#[derive(Clone, Default)]
pub(super) struct Still(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    pages: Vec<Box<dyn Fn() -> Answer + Send>>,
    asked: Vec<Ask>,
}

/// A log that such a server is read into.
pub(super) type StillBench = Bench<Box<dyn FnMut() -> Box<dyn Pages> + Send>>;

struct StillPages(Still);

#[async_trait]
impl Pages for StillPages {
    async fn page(&mut self, ask: &Ask) -> Result<Answer> {
        let mut state = self.0.0.lock().unwrap();
        state.asked.push(ask.clone());
        let at: usize = ask.token.as_deref().map_or(0, |token| token.parse().unwrap());
        let answer = state.pages[at]();
        let is_last = at + 1 == state.pages.len();
        Ok(match answer {
            Answer::Page(page) if !is_last => Answer::Page(Page { next: Some((at + 1).to_string()), ..page }),
            answer => answer,
        })
    }
}

impl Still {
    /// A bench that reads it.
    pub(super) fn bench(&self, plan: Plan) -> StillBench {
        let still = self.clone();
        let pages = move || -> Box<dyn Pages> { Box::new(StillPages(still.clone())) };
        Bench::new(plan, 7, Box::new(pages))
    }

    /// From now on it answers so.
    pub(super) fn answer(&self, pages: Vec<Box<dyn Fn() -> Answer + Send>>) {
        self.0.lock().unwrap().pages = pages;
    }

    /// From now on it has these records, a page each list.
    pub(super) fn hold(&self, pages: &[&[&str]]) {
        let told = |records: &&[&str]| {
            let records: Vec<String> = records.iter().map(|json| (*json).to_owned()).collect();
            Box::new(move || Answer::Page(page(&records, &[]))) as Box<dyn Fn() -> Answer + Send>
        };
        self.answer(pages.iter().map(told).collect());
    }

    /// From now on it has these on one page.
    pub(super) fn hold_records(&self, records: impl Fn() -> Records + Send + 'static) {
        self.answer(vec![Box::new(move || Answer::Page(Page { records: records(), ..page(&[], &[]) }))]);
    }

    /// What was asked since the last look.
    pub(super) fn asked(&self) -> Vec<Ask> {
        mem::take(&mut self.0.lock().unwrap().asked)
    }
}
