"""Write the page."""

from tools.pathway_pages import main

if __name__ == "__main__":
    main()
