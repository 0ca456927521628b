//! The description of the API for programs, in the form of OpenAPI 3.1: made of the types and routes that
//! serve it.

use axum::Json;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::model::effect::Kind;
use crate::web::api;

/// A change of a light: one of level, step, on, toggle and effect, with what goes with it.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its description is used")]
pub struct LightChange {
    /// Percent, rounded to 0.1.
    #[schema(nullable = false, minimum = 0, maximum = 100)]
    level: Option<f64>,
    /// Added to the level; the result is clamped to 0..100.
    #[schema(nullable = false, minimum = -100, maximum = 100)]
    step: Option<f64>,
    /// False: off. True: the last level above 0, or 100 if there was none.
    #[schema(nullable = false)]
    on: Option<bool>,
    /// True: off if it is on, on if it is off.
    #[schema(nullable = false)]
    toggle: Option<bool>,
    /// Starts around the level; null ends it.
    effect: Option<Kind>,
    /// Seconds to get there, not with an effect but sunrise; without it, the light's own.
    #[schema(nullable = false, minimum = 0, maximum = 3600)]
    transition: Option<f64>,
    /// Of the effect, 1 without it; more than 3 only for a light that may.
    #[schema(nullable = false, minimum = 0.1, maximum = 10)]
    speed: Option<f64>,
}

/// An effect as a light shows it: without both while none plays.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub struct MaybeEffect {
    /// What it plays around its level.
    #[schema(nullable = false)]
    effect: Option<Kind>,
    /// Of the effect.
    #[schema(nullable = false, minimum = 0.1, maximum = 10)]
    speed: Option<f64>,
}

/// How to recall a preset.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its description is used")]
pub struct Recall {
    /// Seconds to get there; without it, each light's own.
    #[schema(nullable = false, minimum = 0, maximum = 3600)]
    transition: Option<f64>,
}

/// A timer to be added: either in or at, and one of level, on, effect and recall.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub struct NewTimer {
    /// Seconds from now: once.
    #[schema(nullable = false, minimum = 1, maximum = 86400)]
    r#in: Option<f64>,
    /// The lowest free number without it; a timer takes the place of one that has its name.
    #[schema(nullable = false, min_length = 1, max_length = 40)]
    name: Option<String>,
    #[serde(flatten)]
    what: Happening,
}

/// A timer as it is kept.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub struct Timer {
    name: String,
    /// When it is due, in local time.
    #[schema(format = DateTime)]
    next: String,
    #[serde(flatten)]
    what: Happening,
}

/// When a timer is due again, and what happens then.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub struct Happening {
    /// A time of day, such as 07:00, or sunrise or sunset.
    #[schema(nullable = false)]
    at: Option<String>,
    /// Minutes after sunrise or sunset.
    #[schema(nullable = false, minimum = -180, maximum = 180)]
    offset: Option<f64>,
    /// On each of these days again, mon to sun; without it, once.
    #[schema(nullable = false)]
    days: Option<Vec<String>>,
    /// To which light; without it, to all.
    #[schema(nullable = false)]
    light: Option<String>,
    /// Percent, rounded to 0.1.
    #[schema(nullable = false, minimum = 0, maximum = 100)]
    level: Option<f64>,
    /// False: off. True: the last level above 0.
    #[schema(nullable = false)]
    on: Option<bool>,
    /// Starts around the level.
    #[schema(nullable = false)]
    effect: Option<Kind>,
    /// Of the effect.
    #[schema(nullable = false, minimum = 0.1, maximum = 10)]
    speed: Option<f64>,
    /// The name of a preset, which sets all its lights.
    #[schema(nullable = false)]
    recall: Option<String>,
    /// Seconds to get there; without it, the light's own.
    #[schema(nullable = false, minimum = 0, maximum = 3600)]
    transition: Option<f64>,
}

/// The head of the description; the routes add themselves.
#[derive(OpenApi)]
#[openapi(security((), ("password" = [])), modifiers(&Password))]
struct Head;

/// The password, where one is set.
struct Password;

impl Modify for Password {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("password", scheme);
    }
}

/// A description without a route.
pub fn head() -> Document {
    Head::openapi()
}

/// This description
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    operation_id = "description",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
pub async fn describe() -> Json<Document> {
    // Made when it is asked for: nobody does for most of the time, and it takes memory.
    Json(api::routes().into_openapi())
}
