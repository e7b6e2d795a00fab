module eventyard.bench/quamina-peer

go 1.19
