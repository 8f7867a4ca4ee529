package main

import (
	"fmt"
	"slices"
)

// Recipe is the component: how many it is for, and what is in the kitchen
// already. It needs no pagestate.Component, since templ has the context.
type Recipe struct {
	Servings int
	Have     []string
}

// An ingredient is the same for every page, so it is not part of a state.
type ingredient struct {
	name string
	each int // for one serving
	unit string
}

var ingredients = []ingredient{
	{"Red lentils", 80, " g"},
	{"Coconut milk", 100, " ml"},
	{"Onions", 1, ""},
	{"Ginger", 5, " g"},
	{"Limes", 1, ""},
}

func (i ingredient) amount(servings int) string { return fmt.Sprint(i.each*servings, i.unit) }

func (c *Recipe) has(name string) bool { return slices.Contains(c.Have, name) }

// toggle overlooks what is no ingredient: the token is proof of where the state
// comes from, and the other fields of a form are not.
func (c *Recipe) toggle(name string) {
	switch {
	case c.has(name):
		c.Have = slices.DeleteFunc(c.Have, func(have string) bool { return have == name })
	case slices.ContainsFunc(ingredients, func(i ingredient) bool { return i.name == name }):
		c.Have = append(c.Have, name)
	}
}

// missing is how many things are still to be bought.
func (c *Recipe) missing() int { return len(ingredients) - len(c.Have) }
