package pagestate

// This file holds the size that a component's tokens should not exceed, and which of
// its fields takes the most.

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Budget has a warning logged for tokens of the component that are longer than so many
// bytes. It names the three largest fields, with their bytes before compression and
// encryption. The token is sealed all the same: see Options.MaxTokenBytes for what is
// refused. A budget below 1 is a fault.
func Budget(bytes int) ComponentOption {
	return func(c *component) error {
		if bytes < 1 {
			return fmt.Errorf("the budget of %d bytes is less than 1", bytes)
		}
		c.budget = bytes
		return nil
	}
}

const overBudget = "sealed to a token over the component's budget; save less of it, or have Load fetch it"

// isOverBudget reports whether the token that was sealed here is.
func (in *instance) isOverBudget() bool {
	return in.component.budget > 0 && in.sealed && len(in.token) > in.component.budget
}

// budgetAttrs say by how much, and what takes it.
func (in *instance) budgetAttrs() []slog.Attr {
	type field struct {
		name  string
		bytes int
	}
	var fields []field
	for i, bytes := range in.component.plan.FieldSizes(in.Data) {
		fields = append(fields, field{in.component.plan.Fields[i].GoName, bytes})
	}
	slices.SortStableFunc(fields, func(a, b field) int { return cmp.Compare(b.bytes, a.bytes) })
	var largest []string
	for _, f := range fields[:min(3, len(fields))] {
		largest = append(largest, fmt.Sprintf("%s (%d)", f.name, f.bytes))
	}
	return []slog.Attr{
		slog.Int("bytes", len(in.token)),
		slog.Int("budget", in.component.budget),
		slog.String("largest", strings.Join(largest, ", ")),
	}
}

// warnOfBudgets warns of what was sealed in a request.
func (x *exchange) warnOfBudgets() {
	warn := func(in *instance) {
		if in.isOverBudget() {
			x.warn(in, overBudget, in.budgetAttrs()...)
		}
	}
	for in := range x.all {
		warn(in)
	}
	for _, in := range x.carried {
		if x.find(in.state) == nil { // else it was among all
			warn(in)
		}
	}
}

// warnOfBudget warns of what was sealed without a request.
func (in *instance) warnOfBudget(ctx context.Context) {
	if !in.isOverBudget() {
		return
	}
	name := in.component.name
	in.m.log(ctx, slog.LevelWarn, lineKind{text: "pagestate: " + overBudget, component: name},
		append([]slog.Attr{slog.String("component", name)}, in.budgetAttrs()...)...)
}
