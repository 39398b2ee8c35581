"""Output for people: text and pages that foreign content cannot break, and reproducible figures."""
