//! Password authentication: the check of each request, the login page, the session and the throttle on guesses.

pub mod authenticate;
pub mod login;
pub mod session;
mod throttle;
mod turns;
