//! The document that describes the API: made of the table of routes and of the types that are asked and told.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::problem::Problem;
use super::route::{Method, PREFIX, Route};
use super::table::ROUTES;
use crate::api::Call;

/// The document as it is served; the same as [`document`] writes.
pub const DOCUMENT: &str = include_str!("../../openapi.json");

const ABOUT: &str = "Landfall brings failed-over virtual machines home. Clients show an operator's certificate. Replies may gain fields. \
    Every refusal is a problem with a code; `landfall explain CODE` says more about it. What a GET returns can be followed as server-sent \
    events by accepting text/event-stream.";

/// What one route takes and gives.
pub(super) struct Described {
    /// The request, as one object.
    request: Value,
    /// The reply.
    reply: Value,
    /// What both refer to.
    components: Vec<(String, RefOr<Schema>)>,
}

/// Describes a route of requests of type `C`.
pub(super) fn describe<C: Call + ToSchema>(_: &Route) -> Described
where
    C::Reply: ToSchema,
{
    let name = C::Reply::name().into_owned();
    let mut components = vec![(name.clone(), C::Reply::schema())];
    C::schemas(&mut components);
    C::Reply::schemas(&mut components);
    let request = value(&C::schema());
    Described { request, reply: reference(&name), components }
}

/// Returns the document, as text that ends with a line.
pub fn document() -> String {
    let mut paths = BTreeMap::<String, Map<String, Value>>::new();
    let mut schemas = BTreeMap::from([("Problem".to_owned(), bounded(value(&Problem::schema())))]);
    for route in ROUTES {
        let described = (route.describe)(route);
        let path = format!("{PREFIX}{}", route.path.replace("{#", "{"));
        let method = route.method.as_str().to_ascii_lowercase();
        paths.entry(path).or_default().insert(method, operation(route, &described));
        let components = described.components.iter();
        schemas.extend(components.map(|(name, schema)| (name.clone(), bounded(value(schema)))));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Landfall", "version": "1", "description": ABOUT, "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" } },
        "paths": paths,
        "components": { "schemas": schemas },
    });
    serde_json::to_string_pretty(&document).expect("values can be written") + "\n"
}

fn operation(route: &Route, described: &Described) -> Value {
    let named: Vec<_> = route.names().map(|(name, _)| name).collect();
    let request = bounded(described.request.clone());
    let (properties, required) = (fields(&request), required(&request));
    let mut parameters: Vec<_> =
        named.iter().map(|name| parameter(name, "path", true, &properties[*name])).collect();
    let others = properties.iter().filter(|(name, _)| !named.contains(&name.as_str()));
    let mut operation = json!({
        "operationId": snake(route.kind),
        "summary": request["description"],
        "tags": [route.path.split('/').nth(1)],
        "responses": responses(route, described),
    });
    if route.method == Method::Post {
        parameters.push(key());
        let body: Map<_, _> = others.map(|(name, schema)| (name.clone(), schema.clone())).collect();
        let wanted: Vec<_> = required.iter().filter(|name| body.contains_key(**name)).collect();
        operation["requestBody"] = json!({
            "required": !wanted.is_empty(),
            "content": { "application/json": { "schema": {
                "type": "object", "properties": body, "required": wanted, "additionalProperties": false,
            } } },
        });
    } else {
        parameters.extend(
            others.map(|(name, schema)| parameter(name, "query", required.contains(&name.as_str()), schema)),
        );
        parameters.extend((route.method == Method::Delete).then(key));
    }
    operation["parameters"] = Value::Array(parameters);
    operation
}

fn responses(route: &Route, described: &Described) -> Value {
    let mut content = json!({ "application/json": { "schema": described.reply } });
    if route.method == Method::Get {
        content["text/event-stream"] = json!({ "schema": { "type": "string" } });
    }
    json!({
        "200": { "description": "It was done.", "content": content },
        "default": {
            "description": "It was not done; what was changed before is told.",
            "content": { "application/problem+json": { "schema": reference("Problem") } },
        },
    })
}

fn parameter(name: &str, place: &str, required: bool, schema: &Value) -> Value {
    let mut schema = present(schema.clone());
    let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let about = about.unwrap_or_else(|| "".into());
    json!({ "name": name, "in": place, "required": required, "description": about, "schema": schema })
}

fn key() -> Value {
    // No pattern: HTTP takes blanks off both ends of a value before anybody could refuse them.
    let schema = json!({ "type": "string", "minLength": 1, "maxLength": 128 });
    let about = "Asked again with the same key within a day, it happens once, also if the server was restarted meanwhile. 1 to 128 visible \
                 characters. With another request: 422.";
    json!({ "name": "Idempotency-Key", "in": "header", "required": false, "description": about, "schema": schema })
}

/// Returns what a value is when it is there: in a path or a query nothing is written as null.
fn present(mut schema: Value) -> Value {
    let others = |choices: &Value, field: fn(&Value) -> &Value| -> Option<Value> {
        choices.as_array()?.iter().find(|choice| field(choice) != "null").cloned()
    };
    if let Some(kind) = others(&schema["type"], |kind| kind) {
        schema["type"] = kind;
    }
    others(&schema["oneOf"], |choice| &choice["type"]).unwrap_or(schema)
}

/// Says what the types alone don't: how large whole numbers may be, which are all counted from 0; and that a choice by the name of its
/// one field has no other.
fn bounded(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(object) => {
            let width = match object.get("format").and_then(Value::as_str) {
                Some("int32") => Some(("uint32", u64::from(u32::MAX))),
                Some("int64") => Some(("uint64", u64::MAX)),
                _ => None,
            };
            if let Some((format, most)) = width {
                object.insert("format".to_owned(), format.into());
                object.insert("maximum".to_owned(), most.into());
            }
            for value in object.values_mut() {
                *value = bounded(value.take());
            }
            let choices = object.get_mut("oneOf").and_then(Value::as_array_mut);
            choices.into_iter().flatten().filter(|choice| is_named(choice)).for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(|value| *value = bounded(value.take())),
        _ => {}
    }
    schema
}

/// Tells whether a choice is told from the others by the name of its one field; a field with one lawful value is a tag.
fn is_named(choice: &Value) -> bool {
    let fields = fields(choice);
    fields.len() == 1 && fields.values().all(|field| field["enum"].is_null())
}

fn close(choice: &mut Value) {
    choice["additionalProperties"] = false.into();
}

fn fields(schema: &Value) -> Map<String, Value> {
    schema["properties"].as_object().cloned().unwrap_or_default()
}

fn required(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn value(schema: &RefOr<Schema>) -> Value {
    serde_json::to_value(schema).expect("schemas hold only what JSON can write")
}

/// Writes the name of a type as names of requests are written on the control socket.
fn snake(kind: &str) -> String {
    let mut name = String::new();
    for (at, letter) in kind.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_the_document_refers_to_is_in_it() {
        let document: Value = serde_json::from_str(&document()).expect("JSON");
        let text = document.to_string();
        for name in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn the_named_parts_of_a_path_are_fields_of_its_request_and_numbers_where_it_says_so() {
        for route in ROUTES {
            let described = (route.describe)(route);
            let properties = fields(&described.request);
            let schema_of = |name: &str| {
                let schema = &properties[name];
                let path =
                    schema["$ref"].as_str().map(|path| path.rsplit('/').next().expect("a name").to_owned());
                let component = described.components.iter().find(|(name, _)| Some(name) == path.as_ref());
                component.map_or_else(|| schema.clone(), |(_, schema)| value(schema))
            };
            for (name, number) in route.names() {
                let expected = if number { "integer" } else { "string" };
                assert_eq!(schema_of(name)["type"], expected, "{name} of {}", route.kind);
            }
        }
    }
}
