//! The machine's outputs, as text.

use mstr_core::Generation;
use mstr_core::session::{Event, Exchange, ExchangeId, Output};

use super::driver::{Driver, Fronting, Sent, World};
use super::inputs::Exchanged;
use super::made::token;
use super::words::name;

impl Driver {
    pub(super) fn drain(&mut self, from: &'static str) {
        loop {
            match self.session.poll_output() {
                Output::Event(event) => {
                    // The server has said so, or is asked to end it all the same.
                    if let Event::Lost { generation, .. } = event {
                        self.lose(generation);
                    }
                    self.done.events.push(name(&event));
                }
                Output::NeedCredentials(id) => {
                    self.asked.push(id);
                    self.done.sent.push("asks the provider".into());
                }
                Output::Send(exchange) => self.send(&exchange, from),
                Output::FrontHeaders(id) => self.ask_for_front_headers(id, from),
                Output::Store(record) => {
                    self.stored.push(*record);
                    self.done.events.push("stored".into());
                }
                Output::Wait(until) => {
                    self.track.until = until;
                    return;
                }
            }
        }
    }

    /// For what it is has begun, as far as the page is concerned: with the headers it is sent.
    fn ask_for_front_headers(&mut self, id: ExchangeId, from: &'static str) {
        let detached = !self.session.awaits(id);
        let awaited = self.track.beginning(self.state());
        let exchange = if detached { Exchanged::Logout } else { awaited };
        self.fronting.push(Fronting { id, exchange, detached });
        self.say_sent(exchange, detached);
        if !detached {
            self.track.begun(exchange, from, self.session.describe());
        }
    }

    fn say_sent(&mut self, exchange: Exchanged, detached: bool) {
        let background = if detached { " in the background" } else { "" };
        let shown = format!("{}{background}", exchange.name());
        // However many logins were given up, one line says what becomes of them.
        if !detached || self.done.sent.last() != Some(&shown) {
            self.done.sent.push(shown);
        }
    }

    fn lose(&mut self, generation: Generation) {
        match self.grant.as_ref().filter(|grant| grant.generation() == generation) {
            Some(grant) => drop(self.alive.remove(&token(grant))),
            // It was never granted, so there is no other.
            None => self.alive.clear(),
        }
    }

    fn send(&mut self, sent: &Exchange, from: &'static str) {
        let exchange = match Exchanged::of(sent.purpose) {
            Exchanged::Inspect if self.session.is_open() => Exchanged::Question,
            exchange => exchange,
        };
        if self.world == World::Fronted {
            let asked = if sent.detached { "a logout" } else { "what waits for them" };
            self.done.sent = vec![asked.to_owned()];
        } else {
            self.say_sent(exchange, sent.detached);
            if !sent.detached {
                self.track.begun(exchange, from, self.session.describe());
            }
        }
        let body = sent.request.body().to_vec();
        if exchange == Exchanged::Login && self.refused.contains(&body) {
            self.broken.push("credentials that were refused are sent again".into());
        }
        if exchange == Exchanged::Logout
            && let Some(token) = sent.request.headers().get("x-mstr-authtoken")
        {
            self.alive.remove(token.to_str().unwrap());
            self.ended.insert(token.to_str().unwrap().to_owned());
        }
        self.track.sent(exchange, &body);
        self.sent.push(Sent {
            id: sent.id,
            exchange,
            deadline: sent.deadline,
            detached: sent.detached,
            answered: false,
            borrows: exchange == Exchanged::Delegate,
            body,
        });
    }
}
