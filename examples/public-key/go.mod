module example.com/public-key

go 1.22
