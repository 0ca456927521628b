//! Generates the OpenAPI document: the routes below `/api` with their bodies and status codes.

use serde_json::{Map, Value, json};

use super::schemas::{list_of, reference, schemas, text};
use crate::model::backup::MAX_BACKUP;
use crate::model::text::Name;
use crate::protocol::MAX_MESSAGE;

/// The document of this version.
pub fn generate() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "description": env!("CARGO_PKG_DESCRIPTION"),
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "securitySchemes": { "password": { "type": "http", "scheme": "bearer" } },
        },
        // The password is optional: a service may have none.
        "security": [{}, { "password": [] }],
    })
}

fn paths() -> Value {
    json!({
        "/api/backup": {
            "get": make_backup(),
            "put": restore("restore"),
            "post": restore("restoreByPost"),
        },
        "/api/cities": {
            "get": Operation::new("cities", "Cities with their coordinates, for latitude and longitude")
                .returns(200, "Those of the time zone database, if there is one", list_of("City"))
                .end(),
        },
        "/api/doctor": {
            "get": Operation::new("doctor", "What drives the pins, and what would be better")
                .returns(200, "As dimmer doctor says", reference("Doctor"))
                .end(),
        },
        "/api/health": { "get": health() },
        "/api/lights": {
            "get": Operation::new("lights", "All lights")
                .returns(200, "In the order of the settings", list_of("LightNow"))
                .end(),
            "put": change_lights("changeLights"),
            "post": change_lights("changeLightsByPost"),
        },
        "/api/lights/{name}": {
            "get": light("light", "One light").end(),
            "put": change_light("changeLight"),
            "post": change_light("changeLightByPost"),
        },
        "/api/lights/{name}/greeted": { "post": greet() },
        "/api/matter": {
            "get": Operation::new("matter", "What is paired with Matter, and whether more can be")
                .returns(200, "As it is now", reference("Matter"))
                .end(),
        },
        "/api/matter/close": { "post": matter("closeMatter", "Lets no more controllers pair").end() },
        "/api/matter/fabrics/{index}": { "delete": remove_fabric() },
        "/api/matter/open": {
            "post": matter("openMatter", "Lets more controllers pair for 15 minutes").end(),
        },
        "/api/matter/qr.svg": { "get": qr_code() },
        "/api/matter/reset": {
            "post": matter("resetMatter", "Removes all fabrics, and lets controllers pair").end(),
        },
        "/api/openapi.json": {
            "get": Operation::new("description", "This document")
                .returns(200, "OpenAPI 3.1", json!({ "type": "object" }))
                .end(),
        },
        "/api/presets": {
            "get": Operation::new("presets", "All presets")
                .returns(200, "In the order of their names", list_of("Preset"))
                .end(),
        },
        "/api/presets/{name}": {
            "put": save_preset("savePreset"),
            "post": save_preset("savePresetByPost"),
            "delete": forget_preset(),
        },
        "/api/presets/{name}/recall": { "post": recall_preset() },
        "/api/settings": {
            "get": Operation::new("settings", "Settings, and where they come from")
                .returns(200, "Of the dimmer and of its lights", reference("Settings"))
                .end(),
            "put": change_settings("changeSettings"),
            "post": change_settings("changeSettingsByPost"),
        },
        "/api/timers": { "get": timers(), "post": add_timer() },
        "/api/timers/{name}": { "delete": cancel_timer() },
    })
}

fn make_backup() -> Value {
    Operation::new("backup", "A backup of what is kept")
        .returns(200, "As a file to save", reference("Backup"))
        .fails(
            503,
            "The file of levels cannot be read, or there are too many at once",
        )
        .end()
}

fn restore(id: &str) -> Value {
    Operation::new(id, "Restores a backup, all of it or nothing")
        .body_of("Backup", true, MAX_BACKUP)
        .returns(200, "What was restored", reference("Restored"))
        .fails(422, "A value is not allowed")
        .fails(503, "As for GET")
        .end()
}

fn health() -> Value {
    Operation::new("health", "Whether all drivers work")
        .returns(200, "They do", reference("Health"))
        .returns(503, "A driver fails", reference("Health"))
        .end()
}

fn light(id: &str, summary: &str) -> Operation {
    Operation::new(id, summary)
        .name("The name of a light", json!({ "type": "string" }))
        .returns(200, "The light with its state", reference("LightNow"))
        .fails(404, "No light has this name")
}

fn change_light(id: &str) -> Value {
    light(id, "Changes a light, and returns its new state")
        .body("LightChange", true)
        .fails(422, "A value is out of range")
        .end()
}

fn greet() -> Value {
    Operation::new("greet", "Says that the LED of a light lights up")
        .name("The name of a light", json!({ "type": "string" }))
        .empty("The light is not new any more")
        .fails(404, "No light has this name")
        .end()
}

fn change_lights(id: &str) -> Value {
    let summary =
        "Changes several lights, all of them or none, and returns the state of all lights";
    Operation::new(id, summary)
        .body("LightsChange", true)
        .returns(200, "In the order of the settings", list_of("LightNow"))
        .fails(404, "The body names a light that does not exist")
        .fails(422, "A value is out of range")
        .end()
}

fn save_preset(id: &str) -> Value {
    let summary = "Saves what the lights are set to, or what the body says";
    Operation::new(id, summary)
        .name("1 to 40 characters", text(Name::MAX))
        .body("GivenPreset", false)
        .returns(200, "The preset as it is saved", reference("Preset"))
        .fails(404, "The body names a light that does not exist")
        .fails(422, "The name is too long, or there are too many presets")
        .end()
}

fn forget_preset() -> Value {
    Operation::new("forgetPreset", "Removes a preset")
        .name("The name of a preset", json!({ "type": "string" }))
        .empty("Removed")
        .fails(404, "No preset has this name")
        .end()
}

fn recall_preset() -> Value {
    Operation::new("recallPreset", "Sets the lights as a preset says")
        .name("The name of a preset", json!({ "type": "string" }))
        .body("Recall", false)
        .empty("Set")
        .fails(404, "No preset has this name")
        .fails(422, "A value is out of range")
        .end()
}

fn change_settings(id: &str) -> Value {
    Operation::new(
        id,
        "Changes settings, all of these or none, and returns all",
    )
    .body("SettingsChange", true)
    .returns(200, "As they are now", reference("Settings"))
    .fails(404, "The body names a light that does not exist")
    .fails(409, "The settings file locks them")
    .fails(422, "There is no such setting, or a value is not allowed")
    .end()
}

/// An operation of Matter that returns its state.
fn matter(id: &str, summary: &str) -> Operation {
    Operation::new(id, summary)
        .returns(200, "As it is then", reference("Matter"))
        .of_matter()
}

fn remove_fabric() -> Value {
    let index = json!({
        "name": "index",
        "in": "path",
        "required": true,
        "description": "The index of a fabric",
        "schema": { "type": "integer", "minimum": 1, "maximum": 254 },
    });
    matter(
        "removeFabric",
        "Removes a fabric: its controller no longer controls the lights",
    )
    .with("parameters", json!([index]))
    .fails(404, "No fabric has this index")
    .end()
}

fn qr_code() -> Value {
    let picture = json!({ "image/svg+xml": { "schema": { "type": "string" } } });
    Operation::new("qrCode", "The QR code to pair a controller")
        .response(
            200,
            json!({ "description": "A picture", "content": picture }),
        )
        .of_matter()
        .end()
}

fn timers() -> Value {
    Operation::new("timers", "All timers")
        .returns(200, "In the order in which they are due", list_of("Timer"))
        .end()
}

fn add_timer() -> Value {
    Operation::new("addTimer", "Adds a timer")
        .body("NewTimer", true)
        .returns(200, "The timer as it is saved", reference("Timer"))
        .fails(
            404,
            "The body names a light or a preset that does not exist",
        )
        .fails(422, "A value is out of range, or there are too many timers")
        .end()
}

fn cancel_timer() -> Value {
    Operation::new("cancelTimer", "Removes a timer")
        .name("The name of a timer", json!({ "type": "string" }))
        .empty("Removed")
        .fails(404, "No timer has this name")
        .end()
}

/// An operation under construction.
struct Operation(Map<String, Value>);

impl Operation {
    fn new(id: &str, summary: &str) -> Operation {
        let fields = json!({ "operationId": id, "summary": summary, "responses": {} });
        let Value::Object(fields) = fields else {
            unreachable!("it is an object");
        };
        Operation(fields)
    }

    fn with(mut self, field: &str, value: Value) -> Operation {
        self.0.insert(field.into(), value);
        self
    }

    /// The name in the path.
    fn name(self, description: &str, schema: Value) -> Operation {
        let parameter = json!({
            "name": "name",
            "in": "path",
            "required": true,
            "description": description,
            "schema": schema,
        });
        self.with("parameters", json!([parameter]))
    }

    /// The body, and what can be wrong with every body.
    fn body(self, schema: &str, required: bool) -> Operation {
        self.body_of(schema, required, MAX_MESSAGE)
    }

    /// The same for a body of at most this many bytes.
    fn body_of(self, schema: &str, required: bool, most: usize) -> Operation {
        let body = json!({ "required": required, "content": content(&reference(schema)) });
        let kib = most / 1024;
        self.with("requestBody", body)
            .fails(400, "The body cannot be parsed")
            .fails(413, &format!("The body has more than {kib} KiB"))
    }

    fn returns(self, status: u16, description: &str, schema: Value) -> Operation {
        let response = json!({ "description": description, "content": content(&schema) });
        self.response(status, response)
    }

    fn empty(self, description: &str) -> Operation {
        self.response(204, json!({ "description": description }))
    }

    fn fails(self, status: u16, description: &str) -> Operation {
        self.returns(status, description, reference("Error"))
    }

    /// What every request to Matter may be told.
    fn of_matter(self) -> Operation {
        self.fails(403, "The request is not from the LAN, or comes by a proxy")
            .fails(409, "Matter is off, or nothing can be paired now")
            .fails(503, "The service stops, or its disk does not answer")
    }

    fn response(mut self, status: u16, response: Value) -> Operation {
        self.0["responses"][status.to_string()] = response;
        self
    }

    fn end(self) -> Value {
        Value::Object(self.0)
    }
}

fn content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}
