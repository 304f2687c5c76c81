package main

// newSource returns a source that is filled.
func newSource() *source {
	s := &source{
		products: map[int]product{},
		categories: []category{
			{Slug: "paper", Name: "Paper"},
			{Slug: "pens", Name: "Pens & ink"},
			{Slug: "desk", Name: "On the desk"},
		},
		reviews: map[int][]review{
			1: {
				{"Ines", "Ink dries at once and nothing shows through. I am at my fourth.", 5},
				{"Otto", "Good, if you like your paper <really> thick.", 4},
			},
			4: {
				{"Mara", "Writes as smoothly as \"butter\" & never skips.", 5},
				{"Piet", "Too broad for small squares.", 3},
				{"June", "Survived a fall from the desk.", 5},
			},
			8: {{"Ada", "Finally found my scissors again.", 4}},
		},
	}
	for i, p := range []product{
		{Name: "Dotted notebook, A5", Category: "paper", Cents: 1450, Text: "160 numbered pages of 100 g paper, thread-bound, with two ribbons."},
		{Name: "Squared pad, A4", Category: "paper", Cents: 620, Text: "80 sheets, 5 mm squares, perforated where you would tear them."},
		{Name: "Envelopes, 25", Category: "paper", Cents: 390, Text: "Cream, lined, for letters that deserve it."},
		{Name: "Fountain pen, medium", Category: "pens", Cents: 3900, Text: "Steel nib, brass body, takes every standard cartridge."},
		{Name: "Ink, night blue", Category: "pens", Cents: 1180, Text: "50 ml that washes out of most things."},
		{Name: "Pencil set, 2H to 4B", Category: "pens", Cents: 890, Text: "Eight pencils of cedar wood, in a tin."},
		{Name: "Desk lamp", Category: "desk", Cents: 7400, Text: "A warm circle of light, and a switch that clicks."},
		{Name: "Tray of oak", Category: "desk", Cents: 2850, Text: "Three compartments for what rolls away."},
	} {
		p.ID = i + 1
		s.products[p.ID] = p
		for j := range s.categories {
			if c := &s.categories[j]; c.Slug == p.Category {
				c.Products = append(c.Products, p.ID)
			}
		}
	}
	return s
}
