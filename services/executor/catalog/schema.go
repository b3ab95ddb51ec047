package catalog

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed schema.json
var schemaFile []byte

// fragment is what a kind says about its own part of a catalog; see Spec.Schema.
type fragment struct {
	Target   node            `json:"target"`
	Settings map[string]node `json:"settings"`
	Defs     map[string]node `json:"$defs"`
}

// node is a schema.
type node = map[string]any

// Schema is the JSON Schema (draft 2020-12) of catalogs that use these kinds: the help of an editor, which says what Decode says
// about the structure of a file. It panics on a fragment that is no schema or does not belong to its kind, which can only
// be a programmer's mistake.
func Schema(kinds Kinds) []byte {
	var base node
	mustRead("the base", schemaFile, &base)
	defs := base["$defs"].(node)
	action := defs["action"].(node)
	var names, ofKind, needed []any
	targets := node{}
	for _, spec := range kinds {
		var f fragment
		if len(spec.Schema) > 0 {
			mustRead("kind "+spec.Name, spec.Schema, &f)
		}
		for name, def := range f.Defs {
			if _, taken := defs[name]; taken || !strings.HasPrefix(name, spec.Name) {
				panic(fmt.Sprintf("catalog: kind %s must not define %q in its schema", spec.Name, name))
			}
			defs[name] = def
		}
		names = append(names, spec.Name)
		ofKind = append(ofKind, when("kind", spec.Name, kindSchema(spec, f)))
		if spec.Targets == "" {
			continue
		}
		targets[spec.Targets] = node{
			"type":                 "object",
			"description":          "What the kind " + spec.Name + " works on, by name.",
			"propertyNames":        node{"pattern": "^[a-z0-9_-]{1,63}$"},
			"additionalProperties": either(f.Target, node{"type": "object"}),
		}
		needed = append(needed, needsTarget(spec))
	}
	action["properties"].(node)["kind"].(node)["enum"] = names
	action["allOf"] = ofKind
	base["properties"].(node)["targets"].(node)["properties"] = targets
	if base["allOf"] = needed; len(needed) == 0 {
		delete(base, "allOf")
	}
	out, err := json.MarshalIndent(base, "", "  ")
	if err != nil {
		panic("catalog: " + err.Error())
	}
	return append(out, '\n')
}

func mustRead(what string, data []byte, out any) {
	if err := json.Unmarshal(data, out); err != nil {
		panic("catalog: schema of " + what + ": " + err.Error())
	}
}

// when is a schema for objects in which a key has a value.
func when(key, value string, then node) node {
	return node{"if": node{"required": []any{key}, "properties": node{key: node{"const": value}}}, "then": then}
}

// needsTarget asks for an entry of the kind's targets as soon as one action is of the kind.
func needsTarget(spec Spec) node {
	return node{
		"if":   node{"properties": node{"actions": node{"additionalProperties": node{"properties": node{"kind": node{"not": node{"const": spec.Name}}}}}}},
		"then": true,
		"else": node{"required": []any{"targets"}, "properties": node{"targets": node{
			"required": []any{spec.Targets}, "properties": node{spec.Targets: node{"minProperties": 1}},
		}}},
	}
}

// kindSchema is about the actions of one kind.
func kindSchema(spec Spec, f fragment) node {
	var verbs, ofVerb []any
	for _, name := range keys(spec.Verbs) {
		verbs = append(verbs, name)
		ofVerb = append(ofVerb, when("verb", name, verbSchema(spec.Verbs[name], f.Settings[name])))
	}
	properties := node{"verb": node{"enum": verbs}}
	if spec.Targets == "" {
		properties["target"] = node{"const": ""}
	}
	return node{"properties": properties, "allOf": ofVerb}
}

// verbSchema is about the actions of one verb: what must be among their parameters, and what they fix.
func verbSchema(v Verb, settings node) node {
	params := node{"additionalProperties": v.Open}
	var required, all []any
	known := node{}
	for _, n := range v.Params {
		known[n.Name] = needSchema(n)
		if !n.Optional {
			all = append(all, n.Name)
		}
	}
	if len(known) > 0 {
		params["properties"] = known
	}
	if len(all) > 0 {
		params["required"] = all
		required = append(required, "params")
	}
	properties := node{"read": node{"const": v.Class != Change}, "params": params}
	properties["settings"] = false
	if v.Settings != nil {
		properties["settings"] = either(settings, node{"type": "object"})
		if must, _ := settings["required"].([]any); len(must) > 0 {
			required = append(required, "settings")
		}
	}
	out := node{"properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// needSchema is about one parameter that the verb knows.
func needSchema(n Need) node {
	properties := node{"type": node{"const": n.Type}}
	if !n.Optional {
		properties["optional"] = node{"const": false}
	}
	for _, bound := range []string{"min", "max"} {
		limits := node{}
		if n.Min != nil {
			limits["minimum"] = *n.Min
		}
		if n.Max != nil {
			limits["maximum"] = *n.Max
		}
		if len(limits) > 0 {
			properties[bound] = limits
		}
	}
	return node{"properties": properties}
}

func either(first, second node) node {
	if len(first) > 0 {
		return first
	}
	return second
}
