// Package node is for nodes that are written in Go, where YAML ends.
//
// Such a node is a step of a road, custom: {go: name}, and a pure function of what was typed since it was entered. A
// program registers it under that name when it makes the dialog (app.Options.Nodes); the dialog keeps the inputs, goes
// back, repeats and survives restarts by itself. With a param in the menu its end sets that parameter, and the road goes
// on, to its confirm like any other. A node orders nothing itself.
package node

import (
	"palmops/libs/lang"
	"palmops/libs/wire"
)

// Query is the place a person stands at.
type Query struct {
	Person wire.Person
	Params map[string]any // what earlier steps asked: string or int64; not to be changed
	Inputs []string       // accepted so far: the Value of each chosen item, or the typed text
	Lang   lang.Tag
	Now    int64 // Unix milliseconds
}

// Node is a node in Go. Show must not block, do IO, or keep anything, and gives the same for the same query.
//
// It is called with the inputs so far for what to show, and with one more to try that one: View.Refuse says no to the
// newest input and why, View.Done ends the node with View.Value.
type Node interface {
	Show(q Query) wire.View
}

// Func is a function as a Node.
type Func func(q Query) wire.View

// Show calls f.
func (f Func) Show(q Query) wire.View { return f(q) }
