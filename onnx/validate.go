package onnx

import (
	"fmt"
	"slices"

	"softprompt/onnx/hint"
)

// Validate checks what ONNX asks of every model: values that are named once
// and made before they are used, tensors as large as their shapes say, and an
// operator set for every domain. Errors name the node and its place in the
// graph. [InferShapes] checks more: that the operands fit their operators.
func Validate(m *Model) error {
	if m.Graph == nil {
		return fmt.Errorf("the model has no graph")
	}
	if m.IRVersion < 1 {
		return fmt.Errorf("IR version is %d, want 1 or more", m.IRVersion)
	}
	if err := checkOverlap(m.Graph); err != nil {
		return err
	}
	return m.Graph.validate(m, nil, 0)
}

// scope is the names that can be used at a place in a graph.
type scope struct {
	names map[string]bool
	outer *scope
}

func (s *scope) has(name string) bool {
	for ; s != nil; s = s.outer {
		if s.names[name] {
			return true
		}
	}
	return false
}

func (g *Graph) validate(m *Model, outer *scope, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("graph %s: graphs lie in each other more than %d deep", g.Name, maxDepth)
	}
	s := &scope{map[string]bool{}, outer}
	isInput := map[string]bool{}
	for i, v := range g.Inputs {
		if v.Name == "" || s.names[v.Name] {
			return fmt.Errorf("graph input %d %q: the name is empty or taken", i, v.Name)
		}
		s.names[v.Name], isInput[v.Name] = true, true
	}
	seen := map[string]bool{}
	for i, t := range g.Initializers {
		if err := t.validate(); err != nil {
			return fmt.Errorf("initializer %d: %w", i, err)
		}
		// An initializer may give an input its default.
		if t.Name == "" || seen[t.Name] {
			return fmt.Errorf("initializer %d %q: the name is empty or taken", i, t.Name)
		}
		s.names[t.Name], seen[t.Name] = true, true
	}
	for i, n := range g.Nodes {
		if err := n.validate(m, s, depth); err != nil {
			return fmt.Errorf("node %d of %d (%v): %w", i, len(g.Nodes), n, g.explainOrder(err, i))
		}
	}
	seen = map[string]bool{}
	for i, v := range g.Outputs {
		if !s.has(v.Name) {
			return fmt.Errorf("graph output %d %q: no node makes it", i, v.Name)
		}
		if seen[v.Name] {
			return fmt.Errorf("graph output %d %q: the name is taken", i, v.Name)
		}
		seen[v.Name] = true
	}
	return nil
}

// missingError is a node's input that is not there at its place.
type missingError struct{ name string }

func (e *missingError) Error() string {
	return fmt.Sprintf("nothing makes its input %q", e.name)
}

// explainOrder tells an input that is made too late from one that is not made.
func (g *Graph) explainOrder(err error, at int) error {
	missing, ok := err.(*missingError)
	if !ok {
		return err
	}
	for j := at; j < len(g.Nodes); j++ {
		if slices.Contains(g.Nodes[j].Outputs, missing.name) {
			return fmt.Errorf("its input %q is made only by node %d (%v): nodes must be in topological order", missing.name, j, g.Nodes[j])
		}
	}
	return err
}

func (n *Node) validate(m *Model, s *scope, depth int) error {
	if n.Op == "" {
		return fmt.Errorf("it has no operator")
	}
	if m.Opset[n.Domain] < 1 {
		return hint.Wrap(fmt.Errorf("the model has no operator set for domain %q", n.Domain),
			"add the domain to the model's opset imports")
	}
	for _, in := range n.Inputs {
		if in != "" && !s.has(in) {
			return &missingError{in}
		}
	}
	seen := map[string]bool{}
	for _, a := range n.Attrs {
		if seen[a.Name] {
			return fmt.Errorf("attribute %s is there twice", a.Name)
		}
		seen[a.Name] = true
		if err := a.validate(m, s, depth); err != nil {
			return fmt.Errorf("attribute %s: %w", a.Name, err)
		}
	}
	for _, o := range n.Outputs {
		if o == "" {
			continue
		}
		if s.names[o] {
			return fmt.Errorf("its output %q has a name that is taken", o)
		}
		s.names[o] = true
	}
	return nil
}

func (a Attr) validate(m *Model, s *scope, depth int) error {
	switch {
	case a.Name == "":
		return fmt.Errorf("it has no name")
	case a.raw != nil:
		return nil
	case a.Kind < AttrFloat || a.Kind > AttrStrings:
		return fmt.Errorf("unknown kind %d", a.Kind)
	case a.Kind == AttrTensor && a.T == nil, a.Kind == AttrGraph && a.G == nil:
		return fmt.Errorf("it holds nothing")
	case a.Kind == AttrTensor:
		return a.T.validate()
	case a.Kind == AttrGraph:
		return a.G.validate(m, s, depth+1)
	}
	return nil
}
