"""The state of the results: what is there, whether it is whole, whether it still fits what it was made from."""
