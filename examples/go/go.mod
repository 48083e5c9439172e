module example.com/fltr-receiver

go 1.22
